/// Accepting goes through `uv_poll` rather than `uv_listen`: when descriptors run out, `uv_listen`'s accept
/// loop can be left only by closing the listener, which would reset every connection queued behind it.
/// `accept4` also returns the peer's address for free.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    /// Accepted in one turn at the most, so that a flood of connections leaves the streams their turn.
    ACCEPTS_A_TURN = 64,
};

struct cuv_listener {
    uv_poll_t poll;
    int descriptor;
    void *owner;
};

int cuv_keepalive(int descriptor) {
    // A peer that vanished is found after 60 s + 4 x 15 s.
    const int on = 1, idle = 60, interval = 15, count = 4;
    if (setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count) < 0)
        return -errno;
    return 0;
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
    // Two sockets with SO_REUSEADDR may be bound to one port; only listening settles it.
    error = listen(descriptor, 1) < 0 ? -errno : 0;
    close(descriptor);
    return error;
}

int cuv_listen(const cuv_address *address, unsigned flags, int *out, cuv_address *bound) {
    int descriptor;
    int error = open_bound(address, flags, &descriptor);
    if (error < 0) return error;
    const int on = 1;
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    error = cuv_keepalive(descriptor);
    if (error == 0 && (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
                       listen(descriptor, BACKLOG) < 0 ||
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

void cuv_descriptor_close(int descriptor) { close(descriptor); }

static void on_closed(uv_handle_t *handle) {
    cuv_listener *listener = (cuv_listener *)handle;
    close(listener->descriptor);
    cuv_loop *loop = cuv_loop_of(handle->loop);
    if (listener->owner != NULL) loop->callbacks.listener_closed(listener->owner);
    free(listener);
}

static bool out_of_resources(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void cuv_listener_accept(cuv_listener *listener) {
    cuv_loop *loop = cuv_loop_of(listener->poll.loop);
    for (int i = 0; i < ACCEPTS_A_TURN && !uv_is_closing((uv_handle_t *)&listener->poll); i++) {
        struct sockaddr_storage storage;
        socklen_t length = sizeof storage;
        int descriptor = accept4(listener->descriptor, (struct sockaddr *)&storage, &length,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            cuv_address peer;
            cuv_address_from(&peer, (struct sockaddr *)&storage);
            loop->callbacks.accepted(listener->owner, descriptor, &peer);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (out_of_resources(errno)) {
            int error = -errno;
            uv_poll_stop(&listener->poll);
            loop->callbacks.accept_failed(listener->owner, error);
            return;
        }
        // Anything else is the fate of that one connection (accept(2)): the next one may do better.
    }
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    cuv_listener_accept((cuv_listener *)poll);
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

void cuv_listener_close(cuv_listener *listener) { uv_close((uv_handle_t *)&listener->poll, on_closed); }
