#ifndef CUV_H
#define CUV_H

/// The version of libuv at run time, "1.44.2"; valid for ever.
const char *cuv_version(void);

#endif
