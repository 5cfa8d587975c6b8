#define _GNU_SOURCE
#include "internal.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
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
    // On Linux 0 is the calling thread, not its process (setpriority(2)). With 10 it gets a tenth of the time of others
    // when all cores are busy; with 19 it would get a hundredth, and the work would hardly ever finish.
    setpriority(PRIO_PROCESS, 0, 10);
}

static void *wait_for_release(void *semaphore) {
    sem_wait(semaphore);
    return NULL;
}

unsigned cuv_threads_startable(unsigned wanted, size_t spare, bool *has_spare) {
    *has_spare = false;
    pthread_t *threads = malloc(wanted * sizeof *threads);
    if (threads == NULL) return 0;
    sem_t release;
    unsigned started = 0;
    sem_init(&release, 0, 0);
    while (started < wanted && pthread_create(&threads[started], NULL, wait_for_release, &release) == 0)
        started += 1;
    if (spare > 0) {
        void *memory =
            mmap(NULL, spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        *has_spare = memory != MAP_FAILED;
        if (*has_spare) munmap(memory, spare);
    }
    for (unsigned i = 0; i < started; i++) sem_post(&release);
    for (unsigned i = 0; i < started; i++) pthread_join(threads[i], NULL);
    sem_destroy(&release);
    free(threads);
    return started;
}

unsigned cuv_available_cores(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (unsigned)count : 1;
}
