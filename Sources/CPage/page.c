#include "cpage.h"

// #embed belongs to C23. clang accepts it in every mode, with a warning.
#pragma clang diagnostic ignored "-Wc23-extensions"
static const unsigned char page[] = {
#embed "page.html"
};

const unsigned char *cpage_bytes(size_t *count) {
    *count = sizeof page;
    return page;
}
