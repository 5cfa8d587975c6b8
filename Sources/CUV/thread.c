#define _GNU_SOURCE
#include "internal.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

void cuv_thread_prepare(const char *name) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t signals;
    sigfillset(&signals);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&signals, faults[i]);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_setname_np(pthread_self(), name);
}

void cuv_thread_lower_priority(void) {
    // On Linux 0 is the calling thread, not its process (setpriority(2)). 10 is a tenth of what others get where
    // all cores are busy; 19 would be a hundredth, and the work would hardly come to its end.
    setpriority(PRIO_PROCESS, 0, 10);
}

unsigned cuv_available_cores(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (unsigned)count : 1;
}
