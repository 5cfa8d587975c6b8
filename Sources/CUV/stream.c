#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/// One block a connection. The requests share their memory, since a stream connects before it writes.
struct cuv_tcp {
    uv_tcp_t uv;
    union {
        uv_connect_t connect;
        uv_write_t write;
    } request;
    void *owner;
    /// Whether the owner wants bytes. libuv is told so earlier, see `cuv_tcp_connect`.
    bool is_read;
    /// The turn in which `taken` was counted, see `read_budget`.
    uint32_t turn;
    uint32_t taken;
};

_Static_assert(sizeof(cuv_buffer) == sizeof(uv_buf_t), "cuv_buffer is a uv_buf_t");
_Static_assert(offsetof(cuv_buffer, length) == offsetof(uv_buf_t, len), "cuv_buffer is a uv_buf_t");

int cuv_tcp_descriptor(const cuv_tcp *tcp) {
    uv_os_fd_t descriptor = -1;
    uv_fileno((const uv_handle_t *)&tcp->uv, &descriptor);
    return descriptor;
}

cuv_tcp *cuv_tcp_create(cuv_loop *loop, void *owner) {
    cuv_tcp *tcp = calloc(1, sizeof *tcp);
    if (tcp == NULL) return NULL;
    uv_tcp_init(&loop->uv, &tcp->uv);
    tcp->owner = owner;
    return tcp;
}

int cuv_tcp_adopt(cuv_tcp *tcp, int descriptor) { return uv_tcp_open(&tcp->uv, descriptor); }

static void on_buffer_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_received(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);

static void on_connected(uv_connect_t *request, int status) {
    cuv_tcp *tcp = (cuv_tcp *)request->handle;
    cuv_loop_of(tcp->uv.loop)->callbacks.connected(tcp->owner, status);
    if (!tcp->is_read) uv_read_stop((uv_stream_t *)&tcp->uv);
}

/// Gives the stream a socket that leaves as asked; without wishes libuv makes one when it connects.
static int open_egress(cuv_tcp *tcp, bool is_ipv6, const cuv_egress *egress) {
    if (egress->source == NULL && egress->device == NULL && egress->mark == 0) return 0;
    int descriptor = cuv_egress_open(is_ipv6, egress);
    if (descriptor < 0) return descriptor;
    int error = uv_tcp_open(&tcp->uv, descriptor);
    if (error < 0) close(descriptor);
    return error;
}

int cuv_tcp_connect(cuv_tcp *tcp, const cuv_address *address, const cuv_egress *egress) {
    struct sockaddr_storage storage;
    cuv_address_to(address, &storage);
    // Without a socket yet, libuv remembers the flag and sets it when it gets one.
    uv_tcp_nodelay(&tcp->uv, 1);
    int error = open_egress(tcp, address->is_ipv6, egress);
    if (error < 0) return error;
    error = uv_tcp_connect(&tcp->request.connect, &tcp->uv, (struct sockaddr *)&storage, on_connected);
    // connect(2) says the same for want of a local port and of a local address.
    if (error == UV_EADDRNOTAVAIL && cuv_egress_reaches(address, egress)) return UV_EADDRINUSE;
    if (error < 0) return error;
    // libuv reads nothing while it connects, but forgets the socket behind that if nobody reads it: reading would
    // then take two more epoll_ctl. `on_connected` stops what the owner doesn't want by then.
    return uv_read_start((uv_stream_t *)&tcp->uv, on_buffer_wanted, on_received);
}

void cuv_tcp_keepalive(cuv_tcp *tcp) { cuv_keepalive(cuv_tcp_descriptor(tcp)); }

int cuv_tcp_local_address(const cuv_tcp *tcp, cuv_address *address) {
    struct sockaddr_storage storage;
    int length = sizeof storage;
    int error = uv_tcp_getsockname(&tcp->uv, (struct sockaddr *)&storage, &length);
    if (error == 0) cuv_address_from(address, (struct sockaddr *)&storage);
    return error;
}

static void on_buffer_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)suggested;
    cuv_tcp *tcp = (cuv_tcp *)handle;
    cuv_loop *loop = cuv_loop_of(handle->loop);
    if (tcp->turn != loop->turn) {
        tcp->turn = loop->turn;
        tcp->taken = 0;
    }
    // An empty buffer ends this stream's turn: libuv says UV_ENOBUFS, and the socket stays readable.
    *buffer = uv_buf_init(NULL, 0);
    if (tcp->taken >= loop->read_budget) return;
    cuv_buffer given = loop->callbacks.buffer_wanted(tcp->owner);
    buffer->base = given.base;
    buffer->len = given.length;
}

static void on_received(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    cuv_tcp *tcp = (cuv_tcp *)stream;
    if (count == UV_ENOBUFS) {
        if (tcp->taken >= cuv_loop_of(stream->loop)->read_budget) return;
        // The owner gave no buffer, and may pause the stream now: libuv forbids that in the callback which asks.
        count = 0;
    }
    if (count > 0) tcp->taken += (uint32_t)count;
    if (count == UV_EOF && buffer->base == NULL) {
        // libuv guessed: it takes POLLHUP behind a short read for the end. A reset and bytes behind an urgent
        // mark look the same to it, so ask the socket.
        char byte;
        ssize_t rest = recv(cuv_tcp_descriptor(tcp), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (rest > 0) {
            uv_read_start(stream, on_buffer_wanted, on_received);
            return;
        }
        if (rest < 0 && errno != EAGAIN && errno != EINTR) count = -errno;
    }
    cuv_loop_of(stream->loop)->callbacks.received(tcp->owner, count);
}

int cuv_tcp_read_start(cuv_tcp *tcp) {
    tcp->is_read = true;
    int error = uv_read_start((uv_stream_t *)&tcp->uv, on_buffer_wanted, on_received);
    return error == UV_EALREADY ? 0 : error;
}

void cuv_tcp_read_stop(cuv_tcp *tcp) {
    tcp->is_read = false;
    uv_read_stop((uv_stream_t *)&tcp->uv);
}

ssize_t cuv_tcp_try_write(cuv_tcp *tcp, const cuv_buffer *buffers, unsigned count) {
    return uv_try_write((uv_stream_t *)&tcp->uv, (const uv_buf_t *)buffers, count);
}

static void on_written(uv_write_t *request, int status) {
    cuv_tcp *tcp = (cuv_tcp *)request->handle;
    cuv_loop_of(tcp->uv.loop)->callbacks.written(tcp->owner, status);
}

int cuv_tcp_write(cuv_tcp *tcp, const cuv_buffer *buffers, unsigned count) {
    return uv_write(&tcp->request.write, (uv_stream_t *)&tcp->uv, (const uv_buf_t *)buffers, count, on_written);
}

int cuv_tcp_shutdown(cuv_tcp *tcp) {
    // uv_shutdown waits for queued writes, of which there are none: it would take a turn of the loop and an
    // epoll_ctl to get here.
    return shutdown(cuv_tcp_descriptor(tcp), SHUT_WR) < 0 ? -errno : 0;
}

int cuv_tcp_peer_state(const cuv_tcp *tcp) {
    struct pollfd state = {.fd = cuv_tcp_descriptor(tcp), .events = POLLRDHUP};
    if (poll(&state, 1, 0) <= 0) return 0;
    // POLLHUP alone is no error: it also stands behind the ends of both directions.
    if ((state.revents & POLLERR) == 0) return (state.revents & POLLRDHUP) != 0 ? UV_EOF : 0;
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(state.fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error == 0 ? UV_ECONNRESET : -error;
}

int cuv_tcp_send_state(const cuv_tcp *tcp, cuv_send_state *state) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(cuv_tcp_descriptor(tcp), IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return -errno;
    *state = (cuv_send_state){
        .unacknowledged = info.tcpi_unacked,
        .probes = info.tcpi_probes,
        .silence = info.tcpi_last_ack_recv,
        .timeout = info.tcpi_rto / 1000,
    };
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    cuv_tcp *tcp = (cuv_tcp *)handle;
    cuv_loop_of(handle->loop)->callbacks.stream_closed(tcp->owner);
    free(tcp);
}

void cuv_tcp_close(cuv_tcp *tcp) { uv_close((uv_handle_t *)&tcp->uv, on_closed); }

void cuv_tcp_reset(cuv_tcp *tcp) {
    if (uv_tcp_close_reset(&tcp->uv, on_closed) < 0) cuv_tcp_close(tcp);
}
