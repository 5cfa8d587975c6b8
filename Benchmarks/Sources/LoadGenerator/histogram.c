#include "histogram.h"

enum { SUB = 64, SUB_BITS = 6 };

void histogram_add(struct histogram *histogram, uint64_t nanoseconds) {
    uint64_t bucket = nanoseconds;
    if (nanoseconds >= SUB) {
        int shift = 63 - __builtin_clzll(nanoseconds) - SUB_BITS;
        bucket = (uint64_t)(shift + 1) * SUB + ((nanoseconds >> shift) & (SUB - 1));
    }
    histogram->buckets[bucket]++;
    histogram->count++;
    if (nanoseconds > histogram->greatest) histogram->greatest = nanoseconds;
}

/// The middle of a bucket.
static uint64_t middle(uint64_t bucket) {
    if (bucket < SUB) return bucket;
    int shift = (int)(bucket / SUB) - 1;
    return ((SUB + bucket % SUB) << shift) + ((1ull << shift) >> 1);
}

uint64_t histogram_at(const struct histogram *histogram, double share) {
    uint64_t left = (uint64_t)(share * (double)histogram->count);
    if (left >= histogram->count) return histogram->greatest;
    for (uint64_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        if (left < histogram->buckets[bucket]) {
            uint64_t time = middle(bucket);
            return time < histogram->greatest ? time : histogram->greatest;
        }
        left -= histogram->buckets[bucket];
    }
    return histogram->greatest;
}
