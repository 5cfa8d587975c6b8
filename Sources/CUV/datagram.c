#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct cuv_udp {
    uv_udp_t uv;
    void *owner;
};

/// As many as libuv receives at once.
enum { BATCH = 20 };

/// What is to be sent by one sendmmsg(2), through one socket.
struct cuv_batch {
    /// Whose datagrams are being received; NULL: none, so that nothing waits.
    const cuv_udp *receiver;
    /// Where they are.
    cuv_buffer room;
    const cuv_udp *sender;
    unsigned count;
    struct mmsghdr messages[BATCH];
    struct iovec datagrams[BATCH];
    struct sockaddr_storage targets[BATCH];
    size_t payloads[BATCH];
};

static struct cuv_batch *batch_of(const cuv_udp *udp) { return cuv_loop_of(udp->uv.loop)->batch; }

int cuv_udp_create(cuv_loop *loop, bool is_ipv6, void *owner, cuv_udp **out) {
    if (loop->batch == NULL) loop->batch = calloc(1, sizeof *loop->batch);
    cuv_udp *udp = calloc(1, sizeof *udp);
    if (loop->batch == NULL || udp == NULL) {
        free(udp);
        return UV_ENOMEM;
    }
    int error = uv_udp_init_ex(&loop->uv, &udp->uv, (is_ipv6 ? AF_INET6 : AF_INET) | UV_UDP_RECVMMSG);
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
    cuv_udp *udp = (cuv_udp *)handle;
    cuv_buffer given = cuv_loop_of(handle->loop)->callbacks.datagram_buffer_wanted(udp->owner);
    batch_of(udp)->room = given;
    *buffer = uv_buf_init(given.base, (unsigned)given.length);
}

static void send_batch(struct cuv_batch *batch) {
    if (batch->count == 0) return;
    const cuv_udp *udp = batch->sender;
    uv_os_fd_t descriptor = -1;
    uv_fileno((const uv_handle_t *)&udp->uv, &descriptor);
    for (unsigned done = 0; done < batch->count;) {
        int sent = sendmmsg(descriptor, batch->messages + done, batch->count - done, 0);
        if (sent < 0 && errno == EINTR) continue;
        // An error is about the first one, and says nothing about the others.
        int status = sent < 0 ? -errno : 0;
        for (unsigned end = done + (sent < 0 ? 1 : (unsigned)sent); done < end; done++)
            cuv_loop_of(udp->uv.loop)->callbacks.datagram_sent(udp->owner, batch->payloads[done], status);
    }
    batch->count = 0;
}

static void on_received(uv_udp_t *handle, ssize_t count, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags) {
    cuv_udp *udp = (cuv_udp *)handle;
    if (flags & UV_UDP_MMSG_FREE) {
        send_batch(batch_of(udp));
        batch_of(udp)->receiver = NULL;
    } else if (flags & UV_UDP_MMSG_CHUNK) {
        batch_of(udp)->receiver = udp;
    }
    // Without a sender the socket was empty, or an ICMP error came, which is about an earlier datagram.
    // A part of a datagram is none.
    if (count < 0 || from == NULL || (flags & UV_UDP_PARTIAL)) return;
    cuv_address peer;
    cuv_address_from(&peer, from);
    cuv_buffer datagram = {buffer->base, (size_t)count};
    cuv_loop_of(handle->loop)->callbacks.datagram_received(udp->owner, datagram, &peer);
}

int cuv_udp_receive_start(cuv_udp *udp) { return uv_udp_recv_start(&udp->uv, on_buffer_wanted, on_received); }

/// Whether the bytes of a datagram stay where they are until the batch is sent.
static bool may_wait(const struct cuv_batch *batch, cuv_buffer datagram) {
    uintptr_t start = (uintptr_t)batch->room.base, base = (uintptr_t)datagram.base;
    return batch->receiver != NULL && base >= start && base < start + batch->room.length;
}

void cuv_udp_send(cuv_udp *udp, cuv_buffer datagram, size_t payload, const cuv_address *address) {
    struct cuv_batch *batch = batch_of(udp);
    if (batch->count == BATCH || batch->sender != udp) send_batch(batch);
    unsigned place = batch->count++;
    batch->sender = udp;
    batch->payloads[place] = payload;
    batch->datagrams[place] = (struct iovec){datagram.base, datagram.length};
    batch->messages[place].msg_hdr = (struct msghdr){
        .msg_name = &batch->targets[place],
        .msg_namelen = cuv_address_to(address, &batch->targets[place]),
        .msg_iov = &batch->datagrams[place],
        .msg_iovlen = 1,
    };
    if (!may_wait(batch, datagram)) send_batch(batch);
}

static void on_closed(uv_handle_t *handle) {
    cuv_udp *udp = (cuv_udp *)handle;
    if (udp->owner != NULL) cuv_loop_of(handle->loop)->callbacks.datagram_socket_closed(udp->owner);
    free(udp);
}

void cuv_udp_close(cuv_udp *udp) {
    struct cuv_batch *batch = batch_of(udp);
    send_batch(batch);
    // libuv doesn't tell a closed socket about the end of its batch.
    if (batch->receiver == udp) batch->receiver = NULL;
    batch->sender = NULL;
    uv_close((uv_handle_t *)&udp->uv, on_closed);
}

void cuv_udp_discard(cuv_udp *udp) {
    udp->owner = NULL;
    cuv_udp_close(udp);
}
