#include "CTestSupport.h"

#include <string.h>

static uint64_t key(uint64_t position) { return (position / 8 + 1) * 0x9e3779b97f4a7c15u; }

void test_xor(void *to, const void *from, size_t count, uint64_t position) {
    unsigned char *result = to;
    const unsigned char *source = from;
    size_t done = 0;
    // Processes whole words of the stream at once, wherever a piece begins.
    while (done < count) {
        uint64_t place = position + done, word;
        if (place % 8 == 0 && count - done >= 8) {
            memcpy(&word, source + done, 8);
            word ^= key(place);
            memcpy(result + done, &word, 8);
            done += 8;
        } else {
            result[done] = source[done] ^ (unsigned char)(key(place) >> place % 8 * 8);
            done += 1;
        }
    }
}
