#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/// One block per connection; its owner is the handle's data.
struct cuv_tcp {
    uv_tcp_t uv;
    /// -1 before there is a socket, and after it is closed.
    int descriptor;
    /// Whether the owner wants bytes. libuv is told to read earlier than that, see `cuv_tcp_connect`.
    bool is_read;
    /// The turn in which `taken` was counted, see `read_budget`.
    uint32_t turn;
    uint32_t taken;
};

/// A pending connect or queued write. Most streams have none most of the time, so it is borrowed from the loop.
union cuv_request {
    uv_connect_t connect;
    uv_write_t write;
    union cuv_request *next;
};

/// The most unused requests that a loop keeps.
enum { IDLE_REQUESTS = 64 };

_Static_assert(sizeof(cuv_buffer) == sizeof(uv_buf_t), "cuv_buffer is a uv_buf_t");
_Static_assert(offsetof(cuv_buffer, length) == offsetof(uv_buf_t, len), "cuv_buffer is a uv_buf_t");

int cuv_tcp_descriptor(const cuv_tcp *tcp) { return tcp->descriptor; }

static union cuv_request *take_request(cuv_loop *loop) {
    union cuv_request *request = loop->requests;
    if (request == NULL) return malloc(sizeof *request);
    loop->requests = request->next;
    loop->idle_requests -= 1;
    return request;
}

static void give_back_request(cuv_loop *loop, union cuv_request *request) {
    if (loop->idle_requests == IDLE_REQUESTS) return free(request);
    request->next = loop->requests;
    loop->requests = request;
    loop->idle_requests += 1;
}

void cuv_requests_free(cuv_loop *loop) {
    while (loop->requests != NULL) free(take_request(loop));
}

cuv_tcp *cuv_tcp_create(cuv_loop *loop, void *owner) {
    cuv_tcp *tcp = calloc(1, sizeof *tcp);
    if (tcp == NULL) return NULL;
    uv_tcp_init(&loop->uv, &tcp->uv);
    tcp->uv.data = owner;
    tcp->descriptor = -1;
    return tcp;
}

static void note_descriptor(cuv_tcp *tcp) {
    uv_os_fd_t descriptor;
    if (uv_fileno((const uv_handle_t *)&tcp->uv, &descriptor) == 0) tcp->descriptor = descriptor;
}

int cuv_tcp_adopt(cuv_tcp *tcp, int descriptor) {
    int error = uv_tcp_open(&tcp->uv, descriptor);
    if (error == 0) tcp->descriptor = descriptor;
    return error;
}

static void on_buffer_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_readable(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);

static void on_connected(uv_connect_t *request, int status) {
    cuv_tcp *tcp = (cuv_tcp *)request->handle;
    cuv_loop *loop = cuv_loop_of(tcp->uv.loop);
    cuv_turn_begins(loop);
    give_back_request(loop, (union cuv_request *)request);
    loop->callbacks.connected(tcp->uv.data, status);
    if (!tcp->is_read) uv_read_stop((uv_stream_t *)&tcp->uv);
}

/// Gives the stream a socket with these options. Without options, libuv makes one when it connects.
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
    // If there is no socket yet, libuv remembers the flag and sets it later.
    uv_tcp_nodelay(&tcp->uv, 1);
    int error = open_egress(tcp, address->is_ipv6, egress);
    if (error < 0) return error;
    cuv_loop *loop = cuv_loop_of(tcp->uv.loop);
    union cuv_request *request = take_request(loop);
    if (request == NULL) return UV_ENOMEM;
    error = uv_tcp_connect(&request->connect, &tcp->uv, (struct sockaddr *)&storage, on_connected);
    if (error < 0) {
        give_back_request(loop, request);
        // connect(2) reports the same error if a local port or a local address is missing.
        return error == UV_EADDRNOTAVAIL && cuv_egress_reaches(address, egress) ? UV_EADDRINUSE : error;
    }
    note_descriptor(tcp);
    cuv_bound_unsent(tcp->descriptor);
    // libuv reads nothing while it connects. But if the stream isn't being read afterwards, it removes the socket from
    // epoll, and starting to read would take two more epoll_ctl. So reading starts here, and `on_connected` stops it if
    // the owner doesn't want bytes by then.
    return uv_read_start((uv_stream_t *)&tcp->uv, on_buffer_wanted, on_readable);
}

int cuv_connected_duplicate(int descriptor) {
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
    if (type != SOCK_STREAM) return -EPROTOTYPE;
    struct sockaddr_storage peer;
    length = sizeof peer;
    if (getpeername(descriptor, (struct sockaddr *)&peer, &length) < 0) return -errno;
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

int cuv_tcp_connect_unix(cuv_tcp *tcp, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return UV_ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int error = connect(descriptor, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
    if (error == 0) error = cuv_tcp_adopt(tcp, descriptor);
    if (error < 0) close(descriptor);
    return error;
}

void cuv_tcp_keepalive(cuv_tcp *tcp) { cuv_keepalive(cuv_tcp_descriptor(tcp)); }

int cuv_tcp_local_address(const cuv_tcp *tcp, cuv_address *address) {
    struct sockaddr_storage storage;
    int length = sizeof storage;
    int error = uv_tcp_getsockname(&tcp->uv, (struct sockaddr *)&storage, &length);
    if (error == 0) cuv_address_from(address, (struct sockaddr *)&storage);
    return error;
}

/// libuv reports that the socket is readable, and gets no buffer: its own read(2) costs more than recv(2), and can be
/// stopped only from within a callback.
static void on_buffer_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(NULL, 0);
}

/// Whether the stream may deliver more before the others get their turn.
static bool has_budget(cuv_tcp *tcp, const cuv_loop *loop) {
    if (tcp->turn != loop->turn) {
        tcp->turn = loop->turn;
        tcp->taken = 0;
    }
    return tcp->taken < loop->read_budget;
}

// recv(2) and send(2) without glibc's wrappers. The wrappers are cancellation points, which cost two locked
// instructions per call, and threads are never cancelled here.

static ssize_t receive(int descriptor, void *base, size_t length) {
    return syscall(SYS_recvfrom, descriptor, base, length, 0, NULL, NULL);
}

static ssize_t transmit(int descriptor, const void *base, size_t length) {
    return syscall(SYS_sendto, descriptor, base, length, MSG_NOSIGNAL, NULL, 0);
}

/// Without a buffer libuv reports UV_ENOBUFS, once each time the socket is readable.
static void on_readable(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    (void)count;
    (void)buffer;
    cuv_tcp *tcp = (cuv_tcp *)stream;
    cuv_loop *loop = cuv_loop_of(stream->loop);
    cuv_turn_begins(loop);
    while (tcp->is_read && has_budget(tcp, loop)) {
        cuv_buffer room = loop->callbacks.buffer_wanted(tcp->uv.data);
        if (room.length == 0) return loop->callbacks.received(tcp->uv.data, 0);
        ssize_t taken = receive(tcp->descriptor, room.base, room.length);
        if (taken > 0) {
            tcp->taken += (uint32_t)taken;
            loop->callbacks.received(tcp->uv.data, taken);
            if ((size_t)taken < room.length) return;
        } else if (taken < 0 && (errno == EAGAIN || errno == EINTR)) {
            return loop->callbacks.received(tcp->uv.data, 0);
        } else {
            cuv_tcp_read_stop(tcp);
            return loop->callbacks.received(tcp->uv.data, taken == 0 ? UV_EOF : -errno);
        }
    }
}

int cuv_tcp_read_start(cuv_tcp *tcp) {
    tcp->is_read = true;
    int error = uv_read_start((uv_stream_t *)&tcp->uv, on_buffer_wanted, on_readable);
    return error == UV_EALREADY ? 0 : error;
}

void cuv_tcp_read_stop(cuv_tcp *tcp) {
    tcp->is_read = false;
    uv_read_stop((uv_stream_t *)&tcp->uv);
}

ssize_t cuv_tcp_try_write(cuv_tcp *tcp, const cuv_buffer *buffers, unsigned count) {
    // libuv's own function uses write(2), which costs more than send(2).
    if (uv_stream_get_write_queue_size((uv_stream_t *)&tcp->uv) > 0) return UV_EAGAIN;
    ssize_t sent;
    if (count == 1) {
        sent = transmit(tcp->descriptor, buffers->base, buffers->length);
    } else {
        struct msghdr message = {.msg_iov = (struct iovec *)buffers, .msg_iovlen = count};
        sent = sendmsg(tcp->descriptor, &message, MSG_NOSIGNAL);
    }
    if (sent >= 0) return sent;
    return errno == EINTR ? UV_EAGAIN : -errno;
}

size_t cuv_tcp_send_room(const cuv_tcp *tcp) {
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t length = sizeof memory;
    int unsent;
    if (getsockopt(tcp->descriptor, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0 ||
        ioctl(tcp->descriptor, SIOCOUTQNSD, &unsent) < 0 || unsent >= CUV_UNSENT)
        return 0;
    uint32_t used = memory[SK_MEMINFO_WMEM_QUEUED], limit = memory[SK_MEMINFO_SNDBUF];
    if (used >= limit) return 0;
    // The limit also counts the kernel's own overhead.
    size_t room = (limit - used) / 4 * 3, unsent_room = (size_t)(CUV_UNSENT - unsent);
    return room < unsent_room ? room : unsent_room;
}

static void on_written(uv_write_t *request, int status) {
    cuv_tcp *tcp = (cuv_tcp *)request->handle;
    cuv_loop *loop = cuv_loop_of(tcp->uv.loop);
    cuv_turn_begins(loop);
    give_back_request(loop, (union cuv_request *)request);
    loop->callbacks.written(tcp->uv.data, status);
}

int cuv_tcp_write(cuv_tcp *tcp, const cuv_buffer *buffers, unsigned count) {
    cuv_loop *loop = cuv_loop_of(tcp->uv.loop);
    union cuv_request *request = take_request(loop);
    if (request == NULL) return UV_ENOMEM;
    int error =
        uv_write(&request->write, (uv_stream_t *)&tcp->uv, (const uv_buf_t *)buffers, count, on_written);
    if (error < 0) give_back_request(loop, request);
    return error;
}

int cuv_tcp_shutdown(cuv_tcp *tcp) {
    // There are no queued writes that uv_shutdown would have to wait for; it would also take a turn of the loop and an
    // epoll_ctl to get here.
    return shutdown(cuv_tcp_descriptor(tcp), SHUT_WR) < 0 ? -errno : 0;
}

int cuv_tcp_peer_state(const cuv_tcp *tcp) {
    struct pollfd state = {.fd = cuv_tcp_descriptor(tcp), .events = POLLRDHUP};
    if (poll(&state, 1, 0) <= 0) return 0;
    // POLLHUP alone isn't an error: it is also set after both directions have ended.
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
    cuv_loop_of(handle->loop)->callbacks.stream_closed(tcp->uv.data);
    free(tcp);
}

int cuv_tcp_duplicate(const cuv_tcp *tcp) {
    int descriptor = fcntl(cuv_tcp_descriptor(tcp), F_DUPFD_CLOEXEC, 0);
    return descriptor < 0 ? -errno : descriptor;
}

/// From now on nothing may use the socket.
static void forget_descriptor(cuv_tcp *tcp) {
    tcp->is_read = false;
    tcp->descriptor = -1;
}

void cuv_tcp_close(cuv_tcp *tcp) {
    forget_descriptor(tcp);
    uv_close((uv_handle_t *)&tcp->uv, on_closed);
}

void cuv_tcp_reset(cuv_tcp *tcp) {
    if (uv_tcp_close_reset(&tcp->uv, on_closed) < 0) return cuv_tcp_close(tcp);
    forget_descriptor(tcp);
}
