#define _GNU_SOURCE
#include "CCores.h"

#include <sched.h>

int cores_allowed(int *cores, int room) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return -1;
    int count = 0;
    for (int core = 0; core < CPU_SETSIZE && count < room; core++) {
        if (CPU_ISSET(core, &set)) cores[count++] = core;
    }
    return count;
}

int cores_allow(const int *cores, int count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < count; i++) CPU_SET(cores[i], &set);
    return sched_setaffinity(0, sizeof set, &set);
}
