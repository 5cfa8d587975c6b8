#include "cpage.h"

static const unsigned char page[] = {
#embed "page.html"
};

const unsigned char *cpage_bytes(size_t *count) {
    *count = sizeof page;
    return page;
}
