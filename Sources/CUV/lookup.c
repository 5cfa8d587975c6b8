#include "internal.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /// libuv runs at most half of its threads on lookups: 128 at once.
    POOL_THREADS = 256,
    /// More addresses of each family than are ever dialled, so that neither family hides the other. A hostile zone can
    /// return thousands.
    MAX_OF_A_FAMILY = 32,
};

struct cuv_lookup {
    uv_getaddrinfo_t uv;
    void *owner;
};

/// The number of threads that libuv will start: it parses the variable in the same way.
static unsigned pool_threads(const char *text) {
    enum { LIBUV_MAXIMUM = 1024 };
    unsigned long threads = strtoul(text, NULL, 10);
    if (threads == 0) return 1;
    return threads < LIBUV_MAXIMUM ? (unsigned)threads : LIBUV_MAXIMUM;
}

static void set_pool_threads(unsigned threads) {
    char text[16];
    snprintf(text, sizeof text, "%u", threads);
    setenv("UV_THREADPOOL_SIZE", text, 1);
}

static bool is_size_ours;

static void configure_pool(void) {
    is_size_ours = getenv("UV_THREADPOOL_SIZE") == NULL;
    if (is_size_ours) set_pool_threads(POOL_THREADS);
}

/// A search list of only the root (resolv.conf(5)). For a name with fewer dots than `ndots`, glibc uses the search list
/// and doesn't also ask without it; that would repeat the same question after each miss. 15 is the maximum of `ndots`.
static void forget_search_list(void) {
    const char *options = getenv("RES_OPTIONS");
    char amended[512];
    int length = snprintf(amended, sizeof amended, "%s ndots:15", options != NULL ? options : "");
    if (length < (int)sizeof amended) setenv("RES_OPTIONS", amended, 1);
    setenv("LOCALDOMAIN", ".", 1);
}

void cuv_lookup_pool_configure(bool tries_search_list) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_pool);
    static pthread_once_t absolute = PTHREAD_ONCE_INIT;
    if (!tries_search_list) pthread_once(&absolute, forget_search_list);
}

/// Returns false if not even one thread can start.
static bool shrink_pool_to_limits(void) {
    // libuv aborts if a thread can't start.
    bool has_spare;
    unsigned threads = cuv_threads_startable(POOL_THREADS, 0, &has_spare);
    if (threads == 0) return false;
    if (threads == POOL_THREADS) return true;
    // If threads are scarce, leave some to the rest of the process.
    set_pool_threads(threads / 2 > 0 ? threads / 2 : 1);
    return true;
}

static void do_nothing(uv_work_t *work) { (void)work; }

static unsigned lookups_at_once;

static void start_pool(void) {
    if (is_size_ours && !shrink_pool_to_limits()) return;
    const char *size = getenv("UV_THREADPOOL_SIZE");
    lookups_at_once = (pool_threads(size != NULL ? size : "4") + 1) / 2;
    uv_loop_t loop;
    // The pool starts with its first work. If it can't start now, the first lookup starts it.
    if (uv_loop_init(&loop) < 0) return;
    uv_work_t work;
    uv_queue_work(&loop, &work, do_nothing, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

unsigned cuv_lookup_pool_start(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_pool);
    return lookups_at_once;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *result) {
    cuv_lookup *lookup = (cuv_lookup *)request;
    cuv_turn_begins(cuv_loop_of(request->loop));
    cuv_address addresses[2 * MAX_OF_A_FAMILY];
    size_t count = 0, of_family[2] = {0, 0};
    for (struct addrinfo *info = result; info != NULL; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
        if (of_family[info->ai_family == AF_INET6]++ >= MAX_OF_A_FAMILY) continue;
        cuv_address_from(&addresses[count++], info->ai_addr);
    }
    uv_freeaddrinfo(result);
    if (status == 0 && count == 0) status = UV_EAI_NODATA;
    cuv_loop_of(request->loop)->callbacks.resolved(lookup->owner, status, addresses, count);
    free(lookup);
}

int cuv_lookup_start(cuv_loop *loop, const char *name, void *owner, cuv_lookup **out) {
    cuv_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) return UV_ENOMEM;
    lookup->owner = owner;
    // Not AI_ADDRCONFIG: it hides ::1 on a machine that has IPv6 only on loopback. An address without a route fails at
    // once anyway.
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int error = uv_getaddrinfo(&loop->uv, &lookup->uv, on_resolved, name, NULL, &hints);
    if (error < 0)
        free(lookup);
    else
        *out = lookup;
    return error;
}

void cuv_lookup_cancel(cuv_lookup *lookup) { uv_cancel((uv_req_t *)&lookup->uv); }
