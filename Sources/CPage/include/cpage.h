// The admin listener's page, put into the program by the compiler: no copy of it can fall behind.
#ifndef CPAGE_H
#define CPAGE_H

#include <stddef.h>

/// The whole file, in UTF-8; it lives as long as the process.
const unsigned char *cpage_bytes(size_t *count);

#endif
