#include "CUV.h"

#include <uv.h>

const char *cuv_version(void) { return uv_version_string(); }
