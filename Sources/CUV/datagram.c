#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/// Not a `uv_udp_t`: libuv doesn't report where the system has joined datagrams, and reads once more from a socket that
/// it has just emptied.
struct cuv_udp {
    uv_poll_t poll;
    int descriptor;
    void *owner;
    /// Whether the system can't split a message into datagrams, or has refused to.
    bool sends_singly;
};

enum {
    /// The most that one recvmmsg(2) may receive: datagrams, or trains of them. Each has room of its own.
    ARRIVALS = 20,
    /// Room for a datagram or a train of any length.
    ROOM = 1 << 16,
    /// How often one socket is read before the others get their turn.
    ROUNDS = 2,
    /// The most that one sendmmsg(2) may send. As a series they are shorter than the longest datagram.
    BATCH = 40,
    /// The longest datagrams that are sent as a series, in bytes: the payload of one Ethernet frame. Longer ones may
    /// have to be fragmented, and the system doesn't fragment a series.
    LONGEST_OF_SERIES = 1452,
    /// The longest header in front of a datagram, in bytes: a SOCKS header with the longest name.
    LONGEST_HEADER = 262,
};

/// One datagram, or a train: consecutive datagrams of one length from one peer; only the last may be shorter. The
/// system joins datagrams that arrive together, and passes them through its layers once (UDP_GRO, udp(7)).
struct arrival {
    struct sockaddr_storage peer;
    /// Holds the length of each datagram of a train.
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec room;
};

/// Datagrams of one length to one target; only the last may be shorter. The system takes them as one message, passes it
/// through its layers once, and splits it at the end (UDP_SEGMENT, udp(7)).
struct series {
    struct sockaddr_storage target;
    /// Holds the length at which the message is split.
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))];
    unsigned count;
    size_t each;
    size_t last;
};

/// Two sets of datagrams: one call of recvmmsg(2) has received the first, and one of sendmmsg(2) will send the second.
struct cuv_batch {
    /// Whether datagrams are being received. If not, no datagram waits to be sent.
    bool is_receiving;
    /// The buffer that holds the received datagrams.
    cuv_buffer room;
    struct arrival arrivals[ARRIVALS];
    struct mmsghdr received[ARRIVALS];

    cuv_udp *sender;
    unsigned count;
    size_t payloads[BATCH];
    /// One after the other, since hardly any has the full length.
    size_t headers_length;
    char headers[BATCH * LONGEST_HEADER];
    /// For each datagram its header, if it has one, and the bytes after it.
    unsigned piece_count;
    struct iovec pieces[2 * BATCH];
    unsigned pieces_of[BATCH];
    /// The series that the datagrams form, one after the other.
    unsigned series_count;
    struct series series[BATCH];
    struct mmsghdr messages[BATCH];
};

static struct cuv_batch *batch_of(const cuv_udp *udp) { return cuv_loop_of(udp->poll.loop)->batch; }

/// Before Linux 4.18 a series would be sent as one long datagram, without an error.
static bool cuts_series(int descriptor) {
    const int by_message = 0;
    return setsockopt(descriptor, SOL_UDP, UDP_SEGMENT, &by_message, sizeof by_message) == 0;
}

static int open_socket(bool is_ipv6) {
    const int on = 1;
    int descriptor = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (is_ipv6 && setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) {
        int error = -errno;
        close(descriptor);
        return error;
    }
    // Before Linux 5.0 there are no trains.
    setsockopt(descriptor, SOL_UDP, UDP_GRO, &on, sizeof on);
    return descriptor;
}

int cuv_udp_create(cuv_loop *loop, bool is_ipv6, void *owner, cuv_udp **out) {
    if (loop->batch == NULL) loop->batch = calloc(1, sizeof *loop->batch);
    cuv_udp *udp = calloc(1, sizeof *udp);
    if (loop->batch == NULL || udp == NULL) {
        free(udp);
        return UV_ENOMEM;
    }
    udp->descriptor = open_socket(is_ipv6);
    int error = udp->descriptor;
    if (error >= 0) error = uv_poll_init(&loop->uv, &udp->poll, udp->descriptor);
    if (error < 0) {
        if (udp->descriptor >= 0) close(udp->descriptor);
        free(udp);
        return error;
    }
    udp->owner = owner;
    udp->sends_singly = !cuts_series(udp->descriptor);
    *out = udp;
    return 0;
}

int cuv_udp_leave_by(cuv_udp *udp, const cuv_egress *egress) {
    return cuv_egress_route(udp->descriptor, egress) < 0 ? -errno : 0;
}

int cuv_udp_bind(cuv_udp *udp, const cuv_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = cuv_address_to(address, &storage);
    return bind(udp->descriptor, (struct sockaddr *)&storage, length) < 0 ? -errno : 0;
}

int cuv_udp_local_address(const cuv_udp *udp, cuv_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(udp->descriptor, (struct sockaddr *)&storage, &length) < 0) return -errno;
    cuv_address_from(address, (struct sockaddr *)&storage);
    return 0;
}

// MARK: - Send

static void report(const struct cuv_batch *batch, unsigned first, unsigned count, int status) {
    const cuv_udp *udp = batch->sender;
    for (unsigned i = first; i < first + count; i++)
        cuv_loop_of(udp->poll.loop)->callbacks.datagram_sent(udp->owner, batch->payloads[i], status);
}

/// Sends the datagrams of a series one by one, after the system has refused the series as a whole.
static void send_singly(struct cuv_batch *batch, struct msghdr message, unsigned first, unsigned count) {
    message.msg_control = NULL;
    message.msg_controllen = 0;
    for (unsigned i = first; i < first + count; i++, message.msg_iov += message.msg_iovlen) {
        message.msg_iovlen = batch->pieces_of[i];
        ssize_t sent;
        do {
            sent = sendmsg(batch->sender->descriptor, &message, 0);
        } while (sent < 0 && errno == EINTR);
        report(batch, i, 1, sent < 0 ? -errno : 0);
    }
}

static void send_batch(struct cuv_batch *batch) {
    if (batch->count == 0) return;
    cuv_udp *udp = batch->sender;
    unsigned first = 0;
    for (unsigned done = 0; done < batch->series_count;) {
        int sent = sendmmsg(udp->descriptor, batch->messages + done, batch->series_count - done, 0);
        int error = sent < 0 ? -errno : 0;
        if (error == -EINTR) continue;
        // An error concerns only the first datagram, and says nothing about the others.
        for (unsigned end = done + (error < 0 ? 1 : (unsigned)sent); done < end; done++) {
            unsigned count = batch->series[done].count;
            if (count > 1 && (error == -EINVAL || error == -EIO || error == -EMSGSIZE)) {
                // The path to the target has a smaller MTU, or its device can't split.
                udp->sends_singly = true;
                send_singly(batch, batch->messages[done].msg_hdr, first, count);
            } else {
                report(batch, first, count, error);
            }
            first += count;
        }
    }
    batch->count = 0;
    batch->headers_length = 0;
    batch->piece_count = 0;
    batch->series_count = 0;
}

/// Whether the bytes of a datagram stay in place until the batch is sent. A datagram at the start of the room was
/// forwarded whole, and is sent at once: its receiver can then work on it while the others are forwarded.
static bool may_wait(const struct cuv_batch *batch, cuv_buffer datagram) {
    uintptr_t start = (uintptr_t)batch->room.base, base = (uintptr_t)datagram.base;
    return batch->is_receiving && base > start && base < start + batch->room.length;
}

/// Whether this datagram continues the newest series.
static bool belongs_to(const struct cuv_batch *batch, const struct sockaddr_storage *target, size_t length) {
    if (batch->series_count == 0 || batch->sender->sends_singly) return false;
    const struct series *newest = &batch->series[batch->series_count - 1];
    return newest->last == newest->each && length > 0 && length <= newest->each &&
           newest->each <= LONGEST_OF_SERIES && memcmp(target, &newest->target, sizeof *target) == 0;
}

static void begin_series(struct cuv_batch *batch, const struct sockaddr_storage *target, socklen_t target_length,
                         size_t length) {
    struct series *series = &batch->series[batch->series_count];
    series->target = *target;
    series->count = 0;
    series->each = length;
    batch->messages[batch->series_count++].msg_hdr = (struct msghdr){
        .msg_name = &series->target,
        .msg_namelen = target_length,
        .msg_iov = &batch->pieces[batch->piece_count],
    };
}

/// With its second datagram a message becomes a series.
static void cut_at(struct series *series, struct msghdr *message) {
    message->msg_control = series->control;
    message->msg_controllen = sizeof series->control;
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t size = (uint16_t)series->each;
    memcpy(CMSG_DATA(control), &size, sizeof size);
}

void cuv_udp_send(cuv_udp *udp, cuv_buffer header, cuv_buffer datagram, size_t payload, const cuv_address *address) {
    struct cuv_batch *batch = batch_of(udp);
    if (batch->count == BATCH || batch->sender != udp) send_batch(batch);
    batch->sender = udp;
    struct sockaddr_storage target;
    socklen_t target_length = cuv_address_to(address, &target);
    size_t length = header.length + datagram.length;
    if (!belongs_to(batch, &target, length)) begin_series(batch, &target, target_length, length);
    struct series *series = &batch->series[batch->series_count - 1];
    struct msghdr *message = &batch->messages[batch->series_count - 1].msg_hdr;
    unsigned first = batch->piece_count;
    if (header.length > 0) {
        char *copy = batch->headers + batch->headers_length;
        batch->headers_length += header.length;
        memcpy(copy, header.base, header.length);
        batch->pieces[batch->piece_count++] = (struct iovec){copy, header.length};
    }
    batch->pieces[batch->piece_count++] = (struct iovec){datagram.base, datagram.length};
    batch->pieces_of[batch->count] = batch->piece_count - first;
    message->msg_iovlen += batch->piece_count - first;
    batch->payloads[batch->count++] = payload;
    series->last = length;
    if (++series->count == 2) cut_at(series, message);
    if (!may_wait(batch, datagram)) send_batch(batch);
}

// MARK: - Receive

static unsigned make_room(struct cuv_batch *batch, cuv_buffer room) {
    unsigned count = room.length / ROOM < ARRIVALS ? (unsigned)(room.length / ROOM) : ARRIVALS;
    batch->room = room;
    for (unsigned i = 0; i < count; i++) {
        struct arrival *arrival = &batch->arrivals[i];
        arrival->room = (struct iovec){(char *)room.base + (size_t)i * ROOM, ROOM};
        batch->received[i].msg_hdr = (struct msghdr){
            .msg_name = &arrival->peer,
            .msg_namelen = sizeof arrival->peer,
            .msg_iov = &arrival->room,
            .msg_iovlen = 1,
            .msg_control = arrival->control,
            .msg_controllen = sizeof arrival->control,
        };
    }
    return count;
}

/// The length of each datagram of a train, or of the single datagram.
static size_t length_of_each(struct mmsghdr *received) {
    struct cmsghdr *control = CMSG_FIRSTHDR(&received->msg_hdr);
    int each = 0;
    if (control != NULL && control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO)
        memcpy(&each, CMSG_DATA(control), sizeof each);
    return each > 0 ? (size_t)each : received->msg_len;
}

static void deliver(cuv_udp *udp, struct mmsghdr *received) {
    // The datagram was truncated: its payload would be wrong.
    if (received->msg_hdr.msg_flags & MSG_TRUNC) return;
    cuv_address peer;
    cuv_address_from(&peer, received->msg_hdr.msg_name);
    char *bytes = received->msg_hdr.msg_iov->iov_base;
    size_t left = received->msg_len, each = length_of_each(received);
    do {
        cuv_buffer datagram = {bytes, left < each ? left : each};
        cuv_loop_of(udp->poll.loop)->callbacks.datagram_received(udp->owner, datagram, &peer);
        bytes += datagram.length;
        left -= datagram.length;
    } while (left > 0);
}

/// Returns whether more datagrams may be waiting.
static bool receive(cuv_udp *udp) {
    cuv_loop *loop = cuv_loop_of(udp->poll.loop);
    unsigned room = make_room(loop->batch, loop->callbacks.datagram_buffer_wanted(udp->owner));
    if (room == 0) return false;
    int count;
    do {
        count = recvmmsg(udp->descriptor, loop->batch->received, room, 0, NULL);
    } while (count < 0 && errno == EINTR);
    loop->batch->is_receiving = true;
    for (int i = 0; i < count; i++) deliver(udp, &loop->batch->received[i]);
    send_batch(loop->batch);
    loop->batch->is_receiving = false;
    return count == (int)room;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)events;
    cuv_udp *udp = (cuv_udp *)poll;
    cuv_turn_begins(cuv_loop_of(poll->loop));
    if (status < 0) {
        // libuv would give up a socket with a pending error, although the error is about an earlier datagram or the
        // network.
        int error;
        socklen_t length = sizeof error;
        getsockopt(udp->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
        uv_poll_start(poll, UV_READABLE, on_readable);
        return;
    }
    for (int i = 0; i < ROUNDS && !uv_is_closing((uv_handle_t *)poll); i++) {
        if (!receive(udp)) return;
    }
}

int cuv_udp_receive_start(cuv_udp *udp) { return uv_poll_start(&udp->poll, UV_READABLE, on_readable); }

// MARK: - End

static void on_closed(uv_handle_t *handle) {
    cuv_udp *udp = (cuv_udp *)handle;
    if (udp->owner != NULL) cuv_loop_of(handle->loop)->callbacks.datagram_socket_closed(udp->owner);
    free(udp);
}

void cuv_udp_close(cuv_udp *udp) {
    struct cuv_batch *batch = batch_of(udp);
    send_batch(batch);
    batch->sender = NULL;
    uv_close((uv_handle_t *)&udp->poll, on_closed);
    // libuv no longer polls it, and the next association may want its port at once.
    close(udp->descriptor);
}

void cuv_udp_discard(cuv_udp *udp) {
    udp->owner = NULL;
    cuv_udp_close(udp);
}
