// The admin listener's page. The compiler embeds it in the program, so it always matches the program's version.
#ifndef CPAGE_H
#define CPAGE_H

#include <stddef.h>

/// The whole file, in UTF-8; it lives as long as the process.
const unsigned char *cpage_bytes(size_t *count);

#endif
