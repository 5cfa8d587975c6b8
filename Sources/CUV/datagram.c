#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct cuv_udp {
    uv_udp_t uv;
    void *owner;
    /// Whether the system can't cut what it is given into datagrams, or has refused to.
    bool sends_singly;
};

/// As many as libuv receives at once.
enum { BATCH = 20 };

/// The longest datagrams that go as a series, in bytes: what one Ethernet frame carries. Longer ones may have to be
/// fragmented, which the system doesn't do for a series.
enum { LONGEST_OF_SERIES = 1452 };

/// Datagrams of one length to one target, the last of which may be shorter: the system takes them as one message,
/// goes through its layers once, and cuts it at the end (UDP_SEGMENT, udp(7)).
struct series {
    struct sockaddr_storage target;
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control;
};

/// What is to be sent by one sendmmsg(2), through one socket.
struct cuv_batch {
    /// Whose datagrams are being received; NULL: none, so that nothing waits.
    const cuv_udp *receiver;
    /// Where they are.
    cuv_buffer room;
    cuv_udp *sender;
    unsigned count;
    struct iovec datagrams[BATCH];
    size_t payloads[BATCH];
    /// Which the datagrams form, one behind the other.
    unsigned series_count;
    struct series series[BATCH];
    struct mmsghdr messages[BATCH];
};

static struct cuv_batch *batch_of(const cuv_udp *udp) { return cuv_loop_of(udp->uv.loop)->batch; }

static int descriptor_of(const cuv_udp *udp) {
    uv_os_fd_t descriptor = -1;
    uv_fileno((const uv_handle_t *)&udp->uv, &descriptor);
    return descriptor;
}

/// Before Linux 4.18 a series would pass as one long datagram, without an error.
static bool cuts_series(const cuv_udp *udp) {
    const int by_message = 0;
    return setsockopt(descriptor_of(udp), SOL_UDP, UDP_SEGMENT, &by_message, sizeof by_message) == 0;
}

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
    udp->sends_singly = !cuts_series(udp);
    *out = udp;
    return 0;
}

int cuv_udp_leave_by(cuv_udp *udp, const cuv_egress *egress) {
    return cuv_egress_route(descriptor_of(udp), egress) < 0 ? -errno : 0;
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

static void report(const struct cuv_batch *batch, unsigned first, unsigned count, int status) {
    const cuv_udp *udp = batch->sender;
    for (unsigned i = first; i < first + count; i++)
        cuv_loop_of(udp->uv.loop)->callbacks.datagram_sent(udp->owner, batch->payloads[i], status);
}

/// Sends the datagrams of a series one by one, where the system has refused it as a whole.
static void send_singly(struct cuv_batch *batch, int descriptor, struct msghdr message, unsigned first) {
    unsigned count = (unsigned)message.msg_iovlen;
    message.msg_iovlen = 1;
    message.msg_control = NULL;
    message.msg_controllen = 0;
    for (unsigned i = first; i < first + count; i++, message.msg_iov++) {
        ssize_t sent;
        do {
            sent = sendmsg(descriptor, &message, 0);
        } while (sent < 0 && errno == EINTR);
        report(batch, i, 1, sent < 0 ? -errno : 0);
    }
}

static void send_batch(struct cuv_batch *batch) {
    if (batch->count == 0) return;
    cuv_udp *udp = batch->sender;
    int descriptor = descriptor_of(udp);
    unsigned first = 0;
    for (unsigned done = 0; done < batch->series_count;) {
        int sent = sendmmsg(descriptor, batch->messages + done, batch->series_count - done, 0);
        int error = sent < 0 ? -errno : 0;
        if (error == -EINTR) continue;
        // An error is about the first one, and says nothing about the others.
        for (unsigned end = done + (error < 0 ? 1 : (unsigned)sent); done < end; done++) {
            unsigned count = (unsigned)batch->messages[done].msg_hdr.msg_iovlen;
            if (count > 1 && (error == -EINVAL || error == -EIO || error == -EMSGSIZE)) {
                // The way to the target is narrower, or its device can't.
                udp->sends_singly = true;
                send_singly(batch, descriptor, batch->messages[done].msg_hdr, first);
            } else {
                report(batch, first, count, error);
            }
            first += count;
        }
    }
    batch->count = 0;
    batch->series_count = 0;
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

/// Whether the newest series goes on with this datagram.
static bool belongs_to(const struct cuv_batch *batch, const struct sockaddr_storage *target, size_t length) {
    if (batch->series_count == 0 || batch->sender->sends_singly) return false;
    const struct msghdr *newest = &batch->messages[batch->series_count - 1].msg_hdr;
    size_t each = newest->msg_iov->iov_len, last = newest->msg_iov[newest->msg_iovlen - 1].iov_len;
    return last == each && length > 0 && length <= each && each <= LONGEST_OF_SERIES &&
           memcmp(target, newest->msg_name, sizeof *target) == 0;
}

static void begin_series(struct cuv_batch *batch, const struct sockaddr_storage *target, socklen_t length) {
    struct series *series = &batch->series[batch->series_count];
    series->target = *target;
    batch->messages[batch->series_count++].msg_hdr = (struct msghdr){
        .msg_name = &series->target,
        .msg_namelen = length,
        .msg_iov = &batch->datagrams[batch->count],
    };
}

/// The second datagram makes it a series.
static void cut_at(struct series *series, struct msghdr *message, size_t length) {
    message->msg_control = series->control.bytes;
    message->msg_controllen = sizeof series->control.bytes;
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t size = (uint16_t)length;
    memcpy(CMSG_DATA(control), &size, sizeof size);
}

void cuv_udp_send(cuv_udp *udp, cuv_buffer datagram, size_t payload, const cuv_address *address) {
    struct cuv_batch *batch = batch_of(udp);
    if (batch->count == BATCH || batch->sender != udp) send_batch(batch);
    batch->sender = udp;
    struct sockaddr_storage target;
    socklen_t length = cuv_address_to(address, &target);
    if (!belongs_to(batch, &target, datagram.length)) begin_series(batch, &target, length);
    struct series *series = &batch->series[batch->series_count - 1];
    struct msghdr *message = &batch->messages[batch->series_count - 1].msg_hdr;
    batch->payloads[batch->count] = payload;
    batch->datagrams[batch->count++] = (struct iovec){datagram.base, datagram.length};
    if (++message->msg_iovlen == 2) cut_at(series, message, message->msg_iov->iov_len);
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
