#define _GNU_SOURCE
#include "CTestSupport.h"

#include <string.h>

int test_contains(const void *bytes, size_t count, const void *wanted, size_t wanted_count) {
    return memmem(bytes, count, wanted, wanted_count) != NULL;
}
