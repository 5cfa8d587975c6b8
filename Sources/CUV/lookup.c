#include "internal.h"

#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /// libuv runs at most half of its threads on lookups: 128 at once.
    POOL_THREADS = 256,
    /// More addresses than anyone dials; a hostile zone can return thousands.
    MAX_ADDRESSES = 64,
};

struct cuv_lookup {
    uv_getaddrinfo_t uv;
    void *owner;
};

static void *wait_for_release(void *semaphore) {
    sem_wait(semaphore);
    return NULL;
}

/// How many threads the process may start: tried out, since RLIMIT_NPROC, cgroups and the address space all
/// have a say, and libuv aborts where a thread cannot start.
static unsigned startable_threads(unsigned wanted) {
    pthread_t threads[POOL_THREADS];
    sem_t release;
    unsigned started = 0;
    sem_init(&release, 0, 0);
    while (started < wanted && pthread_create(&threads[started], NULL, wait_for_release, &release) == 0)
        started += 1;
    for (unsigned i = 0; i < started; i++) sem_post(&release);
    for (unsigned i = 0; i < started; i++) pthread_join(threads[i], NULL);
    sem_destroy(&release);
    return started;
}

void cuv_lookup_pool_configure(void) {
    if (getenv("UV_THREADPOOL_SIZE") != NULL) return;
    unsigned threads = startable_threads(POOL_THREADS);
    // Where threads are scarce, others of the process need some too.
    if (threads < POOL_THREADS) threads = threads / 2 > 0 ? threads / 2 : 1;
    char text[16];
    snprintf(text, sizeof text, "%u", threads);
    setenv("UV_THREADPOOL_SIZE", text, 0);
}

static void on_pool_started(uv_work_t *work) { (void)work; }

static void on_pool_start_reported(uv_work_t *work, int status) {
    (void)work;
    (void)status;
}

void cuv_lookup_pool_start(cuv_loop *loop) {
    uv_queue_work(&loop->uv, &loop->pool_start, on_pool_started, on_pool_start_reported);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *result) {
    cuv_lookup *lookup = (cuv_lookup *)request;
    cuv_address addresses[MAX_ADDRESSES];
    size_t count = 0;
    for (struct addrinfo *info = result; info != NULL && count < MAX_ADDRESSES; info = info->ai_next)
        if (info->ai_family == AF_INET || info->ai_family == AF_INET6)
            cuv_address_from(&addresses[count++], info->ai_addr);
    uv_freeaddrinfo(result);
    if (status == 0 && count == 0) status = UV_EAI_NODATA;
    cuv_loop_of(request->loop)->callbacks.resolved(lookup->owner, status, addresses, count);
    free(lookup);
}

int cuv_lookup_start(cuv_loop *loop, const char *name, void *owner, cuv_lookup **out) {
    cuv_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) return UV_ENOMEM;
    lookup->owner = owner;
    // Not AI_ADDRCONFIG: it hides ::1 on a machine with IPv6 on loopback alone, and an address without a
    // route fails at once anyway.
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int error = uv_getaddrinfo(&loop->uv, &lookup->uv, on_resolved, name, NULL, &hints);
    if (error < 0)
        free(lookup);
    else
        *out = lookup;
    return error;
}

void cuv_lookup_cancel(cuv_lookup *lookup) { uv_cancel((uv_req_t *)&lookup->uv); }
