#include "internal.h"

#include <stdlib.h>

cuv_turns *cuv_turns_create(void) { return calloc(1, sizeof(cuv_turns)); }

void cuv_turns_free(cuv_turns *turns) { free(turns); }

void cuv_turns_note_long(cuv_turns *turns, uint64_t began, uint64_t taken) {
    if (began == NO_TURN) return;
    unsigned bucket = 0;
    while (bucket < CUV_TURN_BOUNDS && taken > cuv_turn_bounds[bucket]) bucket += 1;
    cuv_count(&turns->counts[bucket], 1);
    cuv_count(&turns->milliseconds, taken);
}

uint64_t cuv_turns_count(const cuv_turns *turns, unsigned bucket) {
    return __atomic_load_n(&turns->counts[bucket], __ATOMIC_RELAXED);
}

uint64_t cuv_turns_milliseconds(const cuv_turns *turns) {
    return __atomic_load_n(&turns->milliseconds, __ATOMIC_RELAXED);
}

uint64_t cuv_turns_bound(unsigned bucket) { return cuv_turn_bounds[bucket]; }
