/// Connections are accepted through `uv_poll` rather than `uv_listen`. When descriptors run out, `uv_listen`'s accept
/// loop can be left only by closing the listener, and that would reset every connection in its queue. `accept4` also
/// returns the peer's address without another call.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /// The most connections accepted in one turn, so that a flood of them doesn't delay the streams.
    ACCEPTS_A_TURN = 64,
    /// The most connections accepted at the end: a full queue, and as many that come meanwhile.
    ACCEPTS_AT_THE_END = 2 * CUV_BACKLOG,
    /// How long a loop waits at the end of each listener.
    MILLISECONDS_FOR_LATE = 5,
    LATE_SERIES = 8,
};

struct cuv_listener {
    uv_poll_t poll;
    int descriptor;
    cuv_listener_end end;
    void *owner;
};

int cuv_keepalive(int descriptor) {
    // A vanished peer is detected after 60 s + 4 x 15 s.
    const int on = 1, idle = 60, interval = 15, count = 4;
    if (setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count) < 0)
        return -errno;
    return 0;
}

int cuv_bound_unsent(int descriptor) {
    // Otherwise the kernel would hold megabytes for every peer that reads nothing.
    const int bytes = CUV_UNSENT;
    return setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes) < 0 ? -errno : 0;
}

static int open_bound(const cuv_address *address, unsigned flags, int *out) {
    int family = address->is_ipv6 ? AF_INET6 : AF_INET;
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    const int on = 1;
    int only = (flags & CUV_LISTEN_IPV6_ONLY) != 0;
    struct sockaddr_storage storage;
    socklen_t length = cuv_address_to(address, &storage);
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        ((flags & CUV_LISTEN_SHARED) && setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        (address->is_ipv6 && setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0) ||
        ((flags & CUV_LISTEN_FREELY) && cuv_bind_freely(descriptor, address->is_ipv6) < 0) ||
        bind(descriptor, (struct sockaddr *)&storage, length) < 0) {
        int error = -errno;
        close(descriptor);
        return error;
    }
    *out = descriptor;
    return 0;
}

int cuv_listen_probe(const cuv_address *address, unsigned flags) {
    int descriptor;
    int error = open_bound(address, flags & ~(unsigned)CUV_LISTEN_SHARED, &descriptor);
    if (error < 0) return error;
    // Two sockets with SO_REUSEADDR can be bound to one port; only listen(2) reveals the conflict.
    error = listen(descriptor, 1) < 0 ? -errno : 0;
    close(descriptor);
    return error;
}

/// Sets the options of a TCP listener, which connections inherit.
static int set_options(int descriptor) {
    const int on = 1;
    int error = cuv_keepalive(descriptor);
    if (error == 0) error = cuv_bound_unsent(descriptor);
    if (error == 0 && setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) error = -errno;
    return error;
}

int cuv_listen(const cuv_address *address, unsigned flags, int *out, cuv_address *bound) {
    int descriptor;
    int error = open_bound(address, flags, &descriptor);
    if (error < 0) return error;
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    error = set_options(descriptor);
    if (error == 0 && (listen(descriptor, CUV_BACKLOG) < 0 ||
                       getsockname(descriptor, (struct sockaddr *)&storage, &length) < 0))
        error = -errno;
    if (error < 0) {
        close(descriptor);
        return error;
    }
    cuv_address_from(bound, (struct sockaddr *)&storage);
    *out = descriptor;
    return 0;
}

static int number_of(int descriptor, int option, int *value) {
    socklen_t length = sizeof *value;
    return getsockopt(descriptor, SOL_SOCKET, option, value, &length) < 0 ? -errno : 0;
}

int cuv_listening_adopt(int descriptor, cuv_listening_facts *facts) {
    int type = 0, family = 0, listens = 0;
    int error = number_of(descriptor, SO_TYPE, &type);
    if (error == 0) error = number_of(descriptor, SO_DOMAIN, &family);
    if (error == 0) error = number_of(descriptor, SO_ACCEPTCONN, &listens);
    if (error < 0) return error;
    if (type != SOCK_STREAM) return UV_EPROTOTYPE;
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return UV_EAFNOSUPPORT;
    if (!listens) return UV_EINVAL;
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0 ||
        getsockname(descriptor, (struct sockaddr *)&storage, &length) < 0)
        return -errno;
    // A process that has ended may have left a filter that drops SYN, see ``refuse_new``.
    int nothing = 0;
    setsockopt(descriptor, SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof nothing);
    cuv_address_from(&facts->address, (struct sockaddr *)&storage);
    facts->is_unix = family == AF_UNIX;
    return facts->is_unix ? 0 : set_options(descriptor);
}

int cuv_descriptor_duplicate(int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

void cuv_descriptor_close(int descriptor) { close(descriptor); }

static bool out_of_resources(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// Returns 0, or the error that ends a series: `EAGAIN`, or a lack of resources.
static int accept_one(cuv_listener *listener) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int descriptor =
        accept4(listener->descriptor, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        if (errno == EWOULDBLOCK || out_of_resources(errno)) return -errno;
        // Any other error concerns only that one connection (accept(2)): the next one may succeed.
        return 0;
    }
    cuv_address peer;
    cuv_address_from(&peer, (struct sockaddr *)&storage);
    cuv_loop_of(listener->poll.loop)->callbacks.accepted(listener->owner, descriptor, &peer);
    return 0;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    cuv_listener *listener = (cuv_listener *)poll;
    cuv_turn_begins(cuv_loop_of(poll->loop));
    for (int i = 0; i < ACCEPTS_A_TURN && !uv_is_closing((uv_handle_t *)poll); i++) {
        int error = accept_one(listener);
        if (error == -EAGAIN) return;
        if (error < 0) {
            uv_poll_stop(poll);
            cuv_loop_of(poll->loop)->callbacks.accept_failed(listener->owner, error);
            return;
        }
    }
}

/// Lets no further connection begin: drops each SYN (without ACK, RFC 9293 section 3.1), while connections in progress
/// are still completed. The client's system tries again after a second, and finds another listener or none. Without
/// this, connections between the last accept and the close would be reset.
static void refuse_new(int descriptor) {
    enum { FLAGS = 13, SYN = 0x02, ACK = 0x10 };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static void accept_rest(cuv_listener *listener) {
    for (int i = 0; i < ACCEPTS_AT_THE_END && accept_one(listener) == 0; i++) {}
}

/// Accepts connections that had begun before ``refuse_new`` but weren't complete. On this machine or near it they
/// complete within milliseconds. The last ACK of later ones is answered by a reset.
static void accept_late(cuv_listener *listener) {
    struct pollfd state = {.fd = listener->descriptor, .events = POLLIN};
    for (int i = 0; i < LATE_SERIES && poll(&state, 1, MILLISECONDS_FOR_LATE) > 0; i++) accept_rest(listener);
}

static void on_closed(uv_handle_t *handle) {
    cuv_listener *listener = (cuv_listener *)handle;
    if (listener->owner != NULL && listener->end == CUV_CLOSE_LAST) {
        refuse_new(listener->descriptor);
        accept_rest(listener);
        accept_late(listener);
    }
    close(listener->descriptor);
    cuv_loop *loop = cuv_loop_of(handle->loop);
    if (listener->owner != NULL) loop->callbacks.listener_closed(listener->owner);
    free(listener);
}

int cuv_listener_start(cuv_loop *loop, int descriptor, void *owner, cuv_listener **out) {
    cuv_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        close(descriptor);
        return UV_ENOMEM;
    }
    listener->descriptor = descriptor;
    int error = uv_poll_init(&loop->uv, &listener->poll, descriptor);
    if (error < 0) {
        close(descriptor);
        free(listener);
        return error;
    }
    error = uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    if (error < 0) {
        uv_close((uv_handle_t *)&listener->poll, on_closed);
        return error;
    }
    listener->owner = owner;
    *out = listener;
    return 0;
}

void cuv_listener_resume(cuv_listener *listener) { uv_poll_start(&listener->poll, UV_READABLE, on_readable); }

void cuv_listener_close(cuv_listener *listener, cuv_listener_end end) {
    listener->end = end;
    // Most of them are accepted now, so that little is left to do while nobody can connect.
    if (end != CUV_CLOSE_HANDED) accept_rest(listener);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
}

int cuv_listener_duplicate(const cuv_listener *listener) { return cuv_descriptor_duplicate(listener->descriptor); }
