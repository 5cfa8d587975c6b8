/// libuv, reduced to a few calls.
///
/// Every handle lives in one block that this module allocates and frees: the libuv struct and an opaque `owner` that is
/// passed to each callback. A block is freed in libuv's close callback and never earlier. Pending requests are borrowed
/// from the loop. Unless a comment says otherwise, a call must be made on its loop's thread, and a result below zero is
/// libuv's error code.
#ifndef CUV_H
#define CUV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct cuv_loop cuv_loop;
typedef struct cuv_listener cuv_listener;
typedef struct cuv_tcp cuv_tcp;
typedef struct cuv_udp cuv_udp;
typedef struct cuv_lookup cuv_lookup;
typedef struct cuv_turns cuv_turns;

/// An IPv4 or IPv6 socket address; all numbers are in host order. The peer of a unix socket is all zeros. An IPv4
/// address is in the lower 32 bits of `low`. Addresses from the system are never IPv4-mapped.
typedef struct {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
    bool is_ipv6;
} cuv_address;

/// Has the layout of `uv_buf_t` (and `struct iovec`).
typedef struct {
    void *base;
    size_t length;
} cuv_buffer;

/// Identifies a file among all files that exist at the same time.
typedef struct {
    uint64_t device;
    uint64_t number;
} cuv_file_identity;

/// The route of an outgoing socket; zeros leave the choice to the kernel.
typedef struct {
    /// The source address, for targets of the same family. The kernel chooses the port.
    const cuv_address *source;
    /// The source may be an address that no interface has.
    bool binds_freely;
    /// The interface (SO_BINDTODEVICE).
    const char *device;
    /// The mark that routing rules and filters see (SO_MARK).
    uint32_t mark;
} cuv_egress;

/// The callbacks of a loop, always called on its own thread.
typedef struct {
    void (*woken)(void *loop_owner);
    void (*timer_fired)(void *loop_owner);
    /// `descriptor` (non-blocking, close-on-exec) belongs to the callee from now on.
    void (*accepted)(void *listener_owner, int descriptor, const cuv_address *peer);
    /// Out of descriptors or memory. The listener has paused, see `cuv_listener_resume`.
    void (*accept_failed)(void *listener_owner, int error);
    void (*listener_closed)(void *listener_owner);
    void (*connected)(void *stream_owner, int status);
    /// An empty buffer leaves the bytes in the socket.
    cuv_buffer (*buffer_wanted)(void *stream_owner);
    /// The number of bytes that were read into the buffer, possibly 0; or `UV_EOF`, or an error.
    void (*received)(void *stream_owner, ssize_t count);
    void (*written)(void *stream_owner, int status);
    void (*stream_closed)(void *stream_owner);
    /// Room for datagrams or trains of them, 64 KiB for each; an empty buffer leaves them in the socket. The bytes are
    /// in use until the loop asks again, for any socket.
    cuv_buffer (*datagram_buffer_wanted)(void *socket_owner);
    /// One complete datagram, possibly empty, somewhere in the buffer.
    void (*datagram_received)(void *socket_owner, cuv_buffer datagram, const cuv_address *peer);
    /// The result of `cuv_udp_send`: 0 or an error. The callee must not send or close anything.
    void (*datagram_sent)(void *socket_owner, size_t payload, int status);
    void (*datagram_socket_closed)(void *socket_owner);
    /// `addresses` is valid during the call.
    void (*resolved)(void *lookup_owner, int status, const cuv_address *addresses, size_t count);
} cuv_callbacks;

/// Error codes of libuv that aren't an errno; all others are `-errno`.
enum {
    CUV_EOF = -4095,
    CUV_EAI_ADDRFAMILY = -3000,
    CUV_EAI_AGAIN = -3001,
    CUV_EAI_FAIL = -3004,
    CUV_EAI_FAMILY = -3005,
    CUV_EAI_MEMORY = -3006,
    CUV_EAI_NODATA = -3007,
    CUV_EAI_NONAME = -3008,
};

// MARK: - Any thread

/// The version of libuv at run time, such as "1.44.2"; valid for ever.
const char *cuv_version(void);

/// Writes the name of an error code, such as "ECONNREFUSED": at most `size - 1` bytes and a NUL.
void cuv_error_name(int error, char *buffer, size_t size);

/// Parses a numeric address without port; the port becomes 0. `UV_EINVAL` for anything else.
int cuv_address_parse(const char *text, cuv_address *address);

/// Writes the numeric address without port, NUL-terminated; 64 bytes always suffice.
int cuv_address_text(const cuv_address *address, char *buffer, size_t size);

/// Prepares the calling thread to run a loop. Sets its name (at most 15 bytes, as shown by top(1)), and blocks signals.
/// SIGSEGV and other signals of a crash aren't blocked. SIGPIPE is blocked, since libuv doesn't ignore it. Other threads
/// of the program handle the rest.
void cuv_thread_prepare(const char *name);

/// Permanently limits the calling thread to a tenth of the time that others get when all cores are busy.
void cuv_thread_lower_priority(void);

/// The number of threads that the process can start at once, up to `wanted`. It is found by trying, since RLIMIT_NPROC,
/// cgroups and the address space all limit it. `has_spare`: whether `spare` bytes of address space are left beside
/// them.
unsigned cuv_threads_startable(unsigned wanted, size_t spare, bool *has_spare);

/// The number of processors that the process may run on, at least 1.
unsigned cuv_available_cores(void);

/// Sets the size of the thread pool that runs name lookups: 256 threads, unless `UV_THREADPOOL_SIZE` is set. The first
/// call writes that variable.
///
/// Without `tries_search_list`, the first call also writes LOCALDOMAIN and RES_OPTIONS: glibc then treats names as
/// absolute and ignores the search list of resolv.conf(5). A trailing dot would do the same in the DNS, but the names
/// in /etc/hosts have none.
void cuv_lookup_pool_configure(bool tries_search_list);

/// Starts the pool on the first call. If the process may not start that many threads, it uses fewer, and writes to the
/// environment again. Takes tens of milliseconds, must end before the first lookup begins, and must follow
/// `cuv_lookup_pool_configure`. Returns how many lookups run at once: libuv gives them half of the threads. 0 if no
/// thread can start: then no lookup may begin.
unsigned cuv_lookup_pool_start(void);

/// Opens and closes a socket with these options, to find out whether that fails.
int cuv_egress_probe(bool is_ipv6, const cuv_egress *egress);

enum {
    CUV_LISTEN_SHARED = 1 << 0,     ///< SO_REUSEPORT
    CUV_LISTEN_IPV6_ONLY = 1 << 1,  ///< an IPv6 wildcard leaves IPv4 alone
    CUV_LISTEN_FREELY = 1 << 2,     ///< on an address that no interface has (IP_FREEBIND)
};

/// Opens a listening socket. Connections inherit its TCP_NODELAY and keepalive settings (tcp(7)).
/// `bound` receives the real address.
int cuv_listen(const cuv_address *address, unsigned flags, int *descriptor, cuv_address *bound);

/// Binds a socket and closes it, to find out whether another listener has the address. SO_REUSEPORT would hide that.
int cuv_listen_probe(const cuv_address *address, unsigned flags);

/// Properties of a listening socket that another process has opened.
typedef struct {
    /// All zeros for a unix socket.
    cuv_address address;
    bool is_unix;
} cuv_listening_facts;

/// Prepares a descriptor that listens already in the same way as `cuv_listen`: non-blocking, close-on-exec, with the
/// options that connections inherit. The caller keeps it, and it is never closed here. Errors: `UV_EBADF` or
/// `UV_ENOTSOCK` if it isn't a socket, `UV_EPROTOTYPE` if it isn't a stream, `UV_EAFNOSUPPORT` if it is neither IP nor
/// unix(7), `UV_EINVAL` if it doesn't listen.
int cuv_listening_adopt(int descriptor, cuv_listening_facts *facts);

/// Another descriptor of the same socket, close-on-exec.
int cuv_descriptor_duplicate(int descriptor);

/// Opens a listening unix socket that only users permitted by `mode` (such as 0600) can connect to; others can't, not
/// even for a moment. `identity` distinguishes the file from a later replacement. A file that a dead process has left
/// behind is replaced. Errors: `UV_EADDRINUSE` if a process listens on it, `UV_EEXIST` if it isn't a socket,
/// `UV_ETIMEDOUT` if another process keeps the folder locked (flock(2)) for seconds.
int cuv_listen_unix(const char *path, uint32_t mode, int *descriptor, cuv_file_identity *identity);

/// The path to which a unix socket is bound; `UV_ENOENT` if it has no file. Any process may have bound it.
int cuv_unix_path(int descriptor, char *path, size_t capacity);

/// Identifies the file at a path. Returns `UV_ENOENT` if the path has no file.
int cuv_file_identify(const char *path, cuv_file_identity *identity);

/// Removes the file of a unix socket, unless another file has replaced it. Call it before the socket is closed: after
/// that, another process may replace the file by one with the same identity.
void cuv_unlink_unix(const char *path, cuv_file_identity identity);

/// The address from which this machine would reach `target`, with port 0. It comes from the routing table: nothing is
/// sent.
int cuv_local_address_towards(const cuv_address *target, cuv_address *local);

/// Whether the address belongs to this machine, 1 or 0, found by binding a socket to it. Also 1 if that can't be found
/// out, and for every address if the system lets sockets bind to foreign ones (net.ipv4.ip_nonlocal_bind).
int cuv_address_is_own(const cuv_address *address);

/// The user of the process that has connected to a unix socket.
int cuv_peer_user(int descriptor, uint32_t *user);

/// Closes a descriptor that no handle has taken.
void cuv_descriptor_close(int descriptor);

// MARK: - Loop

/// A histogram of how long the callbacks of a loop's turns took, in milliseconds of libuv's clock. Any thread may read
/// it. NULL if there is no memory.
cuv_turns *cuv_turns_create(void);
/// Call it after the end of the loop.
void cuv_turns_free(cuv_turns *turns);

enum { CUV_TURN_BOUNDS = 13 };
/// The number of turns that took no longer than the bound of this bucket and longer than the bound before; the last
/// bucket, `CUV_TURN_BOUNDS`, has no bound.
uint64_t cuv_turns_count(const cuv_turns *turns, unsigned bucket);
/// The bound of a bucket in milliseconds.
uint64_t cuv_turns_bound(unsigned bucket);
/// The milliseconds of all turns together.
uint64_t cuv_turns_milliseconds(const cuv_turns *turns);

/// `read_budget`: bytes that one stream may deliver before the other streams get their turn. `turns`: may be NULL; must
/// outlive the loop.
int cuv_loop_create(const cuv_callbacks *callbacks, size_t read_budget, cuv_turns *turns, cuv_loop **loop);

/// Runs until `cuv_loop_finish` was called and every handle and request is gone.
void cuv_loop_run(cuv_loop *loop, void *owner);

/// Closes the loop's own handles, so that `cuv_loop_run` returns when the rest is closed.
void cuv_loop_finish(cuv_loop *loop);

/// Frees the loop. `UV_EBUSY` (nothing freed) while a handle is open.
int cuv_loop_destroy(cuv_loop *loop);

/// Any thread, until `cuv_loop_finish`. `woken` is called soon afterwards, once for several calls.
void cuv_loop_wake(cuv_loop *loop);

/// Milliseconds of a monotonic clock, as of this turn of the loop.
uint64_t cuv_loop_now(const cuv_loop *loop);

/// (Re)arms the loop's only timer: it fires once, `delay` milliseconds from now.
void cuv_loop_set_timer(cuv_loop *loop, uint64_t delay);

// MARK: - Listener

/// Takes over `descriptor`, even if this fails, and begins to accept.
int cuv_listener_start(cuv_loop *loop, int descriptor, void *owner, cuv_listener **listener);
void cuv_listener_resume(cuv_listener *listener);

/// Decides about connections that haven't been accepted when a listener closes.
typedef enum {
    /// Accepts all connections that come until the socket is closed, since they would be reset otherwise. `accepted`
    /// may be called until `listener_closed`.
    CUV_CLOSE_LAST,
    /// Accepts the waiting connections once. Other processes that share the socket accept later ones.
    CUV_CLOSE_KEPT,
    /// Leaves all connections to other processes that have the socket too.
    CUV_CLOSE_HANDED,
} cuv_listener_end;

void cuv_listener_close(cuv_listener *listener, cuv_listener_end end);

/// Another descriptor of its socket, close-on-exec.
int cuv_listener_duplicate(const cuv_listener *listener);

// MARK: - TCP stream

/// A stream without a socket, to be connected; NULL if there is no memory.
cuv_tcp *cuv_tcp_create(cuv_loop *loop, void *owner);

/// Gives the stream an accepted descriptor of a TCP or unix socket; libuv treats both alike on Linux. If this fails,
/// the caller keeps the descriptor.
int cuv_tcp_adopt(cuv_tcp *tcp, int descriptor);

/// `UV_EADDRNOTAVAIL`: the source address doesn't belong to this machine, or there is none for the target.
/// `UV_EADDRINUSE`: no local port is free for the target.
int cuv_tcp_connect(cuv_tcp *tcp, const cuv_address *address, const cuv_egress *egress);
/// A copy of a connected stream socket.
int cuv_connected_duplicate(int descriptor);
/// Connects to a unix socket of this machine. The result is immediate: connected, or `UV_EAGAIN` if its queue is full.
int cuv_tcp_connect_unix(cuv_tcp *tcp, const char *path);

/// Lets the kernel detect when the peer of a connected stream has vanished.
void cuv_tcp_keepalive(cuv_tcp *tcp);
int cuv_tcp_local_address(const cuv_tcp *tcp, cuv_address *address);

int cuv_tcp_read_start(cuv_tcp *tcp);
void cuv_tcp_read_stop(cuv_tcp *tcp);

/// Writes the bytes that the socket accepts at once, and returns their number; `UV_EAGAIN` if it accepts none. One or
/// two buffers, none of them empty.
ssize_t cuv_tcp_try_write(cuv_tcp *tcp, const cuv_buffer *buffers, unsigned count);

/// Writes bytes to a unix socket, and passes descriptors with the first of them to the process at its other end
/// (SCM_RIGHTS, unix(7)); the caller keeps its descriptors too. Only while no write is pending. Returns how many bytes
/// were written with them; at least one is needed for every `CUV_DESCRIPTORS_A_BYTE` descriptors.
ssize_t cuv_tcp_pass(cuv_tcp *tcp, const int *descriptors, size_t count, const void *bytes);
enum { CUV_DESCRIPTORS_A_BYTE = 128 };

/// The number of bytes that the socket would accept at once, or a little less.
size_t cuv_tcp_send_room(const cuv_tcp *tcp);

/// `written` is called when everything is written; until then the memory must stay. One write at a time.
int cuv_tcp_write(cuv_tcp *tcp, const cuv_buffer *buffers, unsigned count);

/// Ends the direction towards the peer at once. Only while no write is pending.
int cuv_tcp_shutdown(cuv_tcp *tcp);

/// The state of a stream that isn't being read, which no event reports: 0, `UV_EOF` once the peer has ended its
/// direction, even after unread bytes, or the error that broke the stream. An error is reported only once.
int cuv_tcp_peer_state(const cuv_tcp *tcp);

/// How far the peer has acknowledged the bytes sent to it (TCP_INFO).
typedef struct {
    /// Segments in flight, including an end.
    uint32_t unacknowledged;
    /// Unanswered probes of a closed window since the last acknowledgement.
    uint32_t probes;
    /// Milliseconds since the last acknowledgement.
    uint32_t silence;
    /// Milliseconds between two attempts.
    uint32_t timeout;
} cuv_send_state;

int cuv_tcp_send_state(const cuv_tcp *tcp, cuv_send_state *state);

/// Another descriptor of the connection, which outlives the stream.
int cuv_tcp_duplicate(const cuv_tcp *tcp);

void cuv_tcp_close(cuv_tcp *tcp);

/// Closes with a reset instead of an end.
void cuv_tcp_reset(cuv_tcp *tcp);

// MARK: - Pipe

/// Opens a non-blocking pipe. Fails if it would be smaller than `capacity`.
int cuv_pipe_open(size_t capacity, int *read_end, int *write_end);

/// Moves at most `count` bytes from the stream's socket into a pipe. Returns 0 if the stream has ended, or an error
/// such as `UV_EAGAIN`. libuv isn't involved: only for a stream that returned an empty buffer from `buffer_wanted`.
ssize_t cuv_tcp_splice_from(cuv_tcp *tcp, int write_end, size_t count);

/// Moves bytes from a pipe to the stream's socket. Only while no write is pending.
ssize_t cuv_tcp_splice_to(cuv_tcp *tcp, int read_end, size_t count);
ssize_t cuv_pipe_read(int read_end, cuv_buffer room);

// MARK: - UDP socket

int cuv_udp_create(cuv_loop *loop, bool is_ipv6, void *owner, cuv_udp **udp);

/// Call it before the socket is bound. The caller binds to the source address itself.
int cuv_udp_leave_by(cuv_udp *udp, const cuv_egress *egress);

/// May be tried again with another port. An IPv6 socket doesn't take IPv4.
int cuv_udp_bind(cuv_udp *udp, const cuv_address *address);
int cuv_udp_local_address(const cuv_udp *udp, cuv_address *address);
int cuv_udp_receive_start(cuv_udp *udp);

/// Sends at once or not at all: `UV_EAGAIN` if the socket is full. `header`, at most 262 bytes, is put in front.
///
/// While datagrams are being received, datagrams from the same buffer are sent together when all have been received, or
/// when another socket sends. `datagram_sent` is called exactly once, possibly before this returns, with `payload`,
/// whose meaning is up to the owner.
void cuv_udp_send(cuv_udp *udp, cuv_buffer header, cuv_buffer datagram, size_t payload, const cuv_address *address);

void cuv_udp_close(cuv_udp *udp);

/// Closes without a callback to the owner, which may no longer exist.
void cuv_udp_discard(cuv_udp *udp);

// MARK: - Name lookup

/// One `getaddrinfo` in the thread pool. `resolved` is called exactly once; the lookup can't end without it.
int cuv_lookup_start(cuv_loop *loop, const char *name, void *owner, cuv_lookup **lookup);

/// Asks to skip a lookup that hasn't begun to run; `resolved` is called nevertheless.
void cuv_lookup_cancel(cuv_lookup *lookup);

#endif
