#include "internal.h"

#include <errno.h>
#include <stdlib.h>

struct cuv_udp {
    uv_udp_t uv;
    void *owner;
};

int cuv_udp_create(cuv_loop *loop, bool is_ipv6, void *owner, cuv_udp **out) {
    cuv_udp *udp = calloc(1, sizeof *udp);
    if (udp == NULL) return UV_ENOMEM;
    int error = uv_udp_init_ex(&loop->uv, &udp->uv, is_ipv6 ? AF_INET6 : AF_INET);
    if (error < 0) {
        free(udp);
        return error;
    }
    udp->owner = owner;
    *out = udp;
    return 0;
}

int cuv_udp_leave_by(cuv_udp *udp, const cuv_egress *egress) {
    uv_os_fd_t descriptor = -1;
    uv_fileno((const uv_handle_t *)&udp->uv, &descriptor);
    return cuv_egress_route(descriptor, egress) < 0 ? -errno : 0;
}

int cuv_udp_bind(cuv_udp *udp, const cuv_address *address) {
    struct sockaddr_storage storage;
    cuv_address_to(address, &storage);
    unsigned flags = address->is_ipv6 ? UV_UDP_IPV6ONLY : 0;
    return uv_udp_bind(&udp->uv, (struct sockaddr *)&storage, flags);
}

int cuv_udp_local_address(const cuv_udp *udp, cuv_address *address) {
    struct sockaddr_storage storage;
    int length = sizeof storage;
    int error = uv_udp_getsockname(&udp->uv, (struct sockaddr *)&storage, &length);
    if (error == 0) cuv_address_from(address, (struct sockaddr *)&storage);
    return error;
}

static void on_buffer_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)suggested;
    cuv_buffer given = cuv_loop_of(handle->loop)->callbacks.datagram_buffer_wanted(((cuv_udp *)handle)->owner);
    *buffer = uv_buf_init(given.base, (unsigned)given.length);
}

static void on_received(uv_udp_t *handle, ssize_t count, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags) {
    (void)buffer;
    // Without a sender the socket was empty, or an ICMP error came, which is about an earlier datagram.
    // A part of a datagram is none.
    if (count < 0 || from == NULL || (flags & UV_UDP_PARTIAL)) return;
    cuv_address peer;
    cuv_address_from(&peer, from);
    cuv_loop_of(handle->loop)->callbacks.datagram_received(((cuv_udp *)handle)->owner, (size_t)count, &peer);
}

int cuv_udp_receive_start(cuv_udp *udp) { return uv_udp_recv_start(&udp->uv, on_buffer_wanted, on_received); }

int cuv_udp_try_send(cuv_udp *udp, cuv_buffer datagram, const cuv_address *address) {
    struct sockaddr_storage storage;
    cuv_address_to(address, &storage);
    const uv_buf_t buffer = uv_buf_init(datagram.base, (unsigned)datagram.length);
    return uv_udp_try_send(&udp->uv, &buffer, 1, (struct sockaddr *)&storage);
}

static void on_closed(uv_handle_t *handle) {
    cuv_udp *udp = (cuv_udp *)handle;
    if (udp->owner != NULL) cuv_loop_of(handle->loop)->callbacks.datagram_socket_closed(udp->owner);
    free(udp);
}

void cuv_udp_close(cuv_udp *udp) { uv_close((uv_handle_t *)&udp->uv, on_closed); }

void cuv_udp_discard(cuv_udp *udp) {
    udp->owner = NULL;
    cuv_udp_close(udp);
}
