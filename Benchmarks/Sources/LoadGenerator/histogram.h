/// Times in buckets of 1/64 of an octave: 1.6 % wide, from 1 ns to 584 years.
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 59 * 64 };

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t greatest;
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/// The time that a share of all times, 0 to 1, doesn't exceed; 0 without any.
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
