/// libuv behind a handful of calls.
///
/// Every handle lives in one block that this module allocates and frees: the libuv struct and an opaque `owner`
/// that comes back with each callback. A block dies in libuv's close callback and nowhere earlier. Requests are on
/// loan from the loop while they are pending. Unless a comment says otherwise, a call belongs to the thread
/// of its loop, and a result below zero is libuv's error code.
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

/// An IPv4 or IPv6 socket address; all numbers in host order. The peer of a unix socket has zeroes.
/// An IPv4 address stands in the lower 32 bits of `low`. What comes from the system is never an IPv4-mapped address.
typedef struct {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
    bool is_ipv6;
} cuv_address;

/// Laid out as `uv_buf_t` (and `struct iovec`) is.
typedef struct {
    void *base;
    size_t length;
} cuv_buffer;

/// Tells one file from all others that there are at the same time.
typedef struct {
    uint64_t device;
    uint64_t number;
} cuv_file_identity;

/// What an outgoing socket leaves by; zeroes leave it to the kernel.
typedef struct {
    /// The address it comes from, for targets of the same family. The kernel chooses the port.
    const cuv_address *source;
    /// The source may be an address that no interface has.
    bool binds_freely;
    /// The interface it goes through (SO_BINDTODEVICE).
    const char *device;
    /// What routing rules and filters see (SO_MARK).
    uint32_t mark;
} cuv_egress;

/// What a loop calls, always in its own thread.
typedef struct {
    void (*woken)(void *loop_owner);
    void (*timer_fired)(void *loop_owner);
    /// `descriptor` (non-blocking, close-on-exec) is the callee's from here on.
    void (*accepted)(void *listener_owner, int descriptor, const cuv_address *peer);
    /// Out of descriptors or memory: the listener has paused, see `cuv_listener_resume`.
    void (*accept_failed)(void *listener_owner, int error);
    void (*listener_closed)(void *listener_owner);
    void (*connected)(void *stream_owner, int status);
    /// An empty buffer leaves the bytes in the socket.
    cuv_buffer (*buffer_wanted)(void *stream_owner);
    /// The number of bytes that were read into the buffer, maybe 0; or `UV_EOF`, or an error.
    void (*received)(void *stream_owner, ssize_t count);
    void (*written)(void *stream_owner, int status);
    void (*stream_closed)(void *stream_owner);
    /// Room for a datagram, or a train of them, each 64 KiB; or empty, which leaves them in the socket. Its bytes are
    /// in use until the loop asks again for any socket.
    cuv_buffer (*datagram_buffer_wanted)(void *socket_owner);
    /// One datagram, whole, maybe of no bytes, somewhere in the buffer.
    void (*datagram_received)(void *socket_owner, cuv_buffer datagram, const cuv_address *peer);
    /// What became of `cuv_udp_send`: 0 or an error. It must not send or close anything.
    void (*datagram_sent)(void *socket_owner, size_t payload, int status);
    void (*datagram_socket_closed)(void *socket_owner);
    /// `addresses` is valid during the call.
    void (*resolved)(void *lookup_owner, int status, const cuv_address *addresses, size_t count);
} cuv_callbacks;

/// Codes of libuv that are not an errno; the others are `-errno`.
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

/// The version of libuv at run time, "1.44.2"; valid for ever.
const char *cuv_version(void);

/// The name of an error code, "ECONNREFUSED"; at most `size - 1` bytes and a NUL.
void cuv_error_name(int error, char *buffer, size_t size);

/// Parses a numeric address without port; the port becomes 0. `UV_EINVAL` for anything else.
int cuv_address_parse(const char *text, cuv_address *address);

/// Writes the numeric address without port, NUL-terminated; 64 bytes always suffice.
int cuv_address_text(const cuv_address *address, char *buffer, size_t size);

/// Readies the calling thread to run a loop: its name (15 bytes at most, as top(1) shows it), and all signals
/// blocked but those of its own faults. libuv doesn't ignore SIGPIPE, and signals are for the program's threads.
void cuv_thread_prepare(const char *name);

/// Lets the calling thread have a tenth of what others get where all cores are busy, for good.
void cuv_thread_lower_priority(void);

/// How many threads the process may start at once, up to `wanted`: tried out, since RLIMIT_NPROC, cgroups and the
/// address space all have a say. `has_spare`: whether so many bytes of addresses are left beside them.
unsigned cuv_threads_startable(unsigned wanted, size_t spare, bool *has_spare);

/// The processors that the process may run on, at least 1.
unsigned cuv_available_cores(void);

/// Sizes the thread pool that runs name lookups: 256 threads, unless `UV_THREADPOOL_SIZE` says something else. Writes
/// that variable, the first time.
///
/// Without `tries_search_list` it also writes LOCALDOMAIN and RES_OPTIONS, the first time: glibc then looks names up as absolute ones
/// and leaves the search list of resolv.conf(5) alone. A dot at the end of each name would do the same in the DNS, but no
/// name of /etc/hosts has one.
void cuv_lookup_pool_configure(bool tries_search_list);

/// Starts the pool, the first time; with fewer threads, and another write to the environment, where the process may not
/// start so many. Takes tens of milliseconds, and must end before the first lookup begins. Behind
/// `cuv_lookup_pool_configure`. Returns how many lookups run at once: libuv gives them half of the threads. 0 where
/// no thread can start: no lookup may begin.
unsigned cuv_lookup_pool_start(void);

/// Opens and closes a socket that leaves that way: says what would fail.
int cuv_egress_probe(bool is_ipv6, const cuv_egress *egress);

enum {
    CUV_LISTEN_SHARED = 1 << 0,     ///< SO_REUSEPORT
    CUV_LISTEN_IPV6_ONLY = 1 << 1,  ///< an IPv6 wildcard leaves IPv4 alone
    CUV_LISTEN_FREELY = 1 << 2,     ///< on an address that no interface has (IP_FREEBIND)
};

/// Opens a listening socket. Connections inherit its TCP_NODELAY and keepalive settings (tcp(7)).
/// `bound` receives the real address.
int cuv_listen(const cuv_address *address, unsigned flags, int *descriptor, cuv_address *bound);

/// Binds and closes again: says whether another listener holds the address, which SO_REUSEPORT would hide.
int cuv_listen_probe(const cuv_address *address, unsigned flags);

/// What a listening socket is that somebody else has opened.
typedef struct {
    /// Zeroes for a unix socket.
    cuv_address address;
    bool is_unix;
} cuv_listening_facts;

/// Readies a descriptor that listens already, as `cuv_listen` would: non-blocking, close-on-exec, with the options that
/// connections inherit. It stays the caller's, and is closed by nothing here. `UV_EBADF` or `UV_ENOTSOCK`: no socket;
/// `UV_EPROTOTYPE`: not a stream; `UV_EAFNOSUPPORT`: neither of IP nor of unix(7); `UV_EINVAL`: it doesn't listen.
int cuv_listening_adopt(int descriptor, cuv_listening_facts *facts);

/// Another descriptor of the same socket, close-on-exec.
int cuv_descriptor_duplicate(int descriptor);

/// Opens a listening unix socket that only users with `mode` (as 0600) may connect to: never, even for a moment, others.
/// `identity` tells the file from one that replaces it. A file that a dead process has left behind is replaced;
/// `UV_EADDRINUSE` if a process listens on it, `UV_EEXIST` if it is no socket, `UV_ETIMEDOUT` if another process keeps the
/// folder locked (flock(2)) for seconds.
int cuv_listen_unix(const char *path, uint32_t mode, int *descriptor, cuv_file_identity *identity);

/// The path to which a unix socket is bound; `UV_ENOENT` if it has no file. Any process may have bound it.
int cuv_unix_path(int descriptor, char *path, size_t capacity);

/// Which file is there; `UV_ENOENT` if none is.
int cuv_file_identify(const char *path, cuv_file_identity *identity);

/// Removes the file of a unix socket, unless another one has taken its place. Before the socket is closed: from then on
/// another process may replace the file by one of the same identity.
void cuv_unlink_unix(const char *path, cuv_file_identity identity);

/// The address that this machine would use to reach `target`, with port 0, by asking the routing table: nothing
/// is sent.
int cuv_local_address_towards(const cuv_address *target, cuv_address *local);

/// Whether the address is one of this machine's: 1 or 0, by binding a socket to it. Also 1 where that can't be found
/// out, and for every address where the system lets sockets bind to foreign ones (net.ipv4.ip_nonlocal_bind).
int cuv_address_is_own(const cuv_address *address);

/// The user of the process that has connected to a unix socket.
int cuv_peer_user(int descriptor, uint32_t *user);

/// Closes a descriptor that no handle has taken.
void cuv_descriptor_close(int descriptor);

// MARK: - Loop

/// How long the callbacks of a loop's turns took, to the millisecond of libuv's clock: a histogram that any thread may
/// read. NULL: out of memory.
cuv_turns *cuv_turns_create(void);
/// Behind the end of its loop.
void cuv_turns_free(cuv_turns *turns);

enum { CUV_TURN_BOUNDS = 13 };
/// Turns that took no longer than the bound of this bucket and longer than the one before; the last bucket,
/// `CUV_TURN_BOUNDS`, has no bound.
uint64_t cuv_turns_count(const cuv_turns *turns, unsigned bucket);
/// Milliseconds.
uint64_t cuv_turns_bound(unsigned bucket);
/// Of all turns together.
uint64_t cuv_turns_milliseconds(const cuv_turns *turns);

/// `read_budget`: bytes that one stream may deliver before the other streams get their turn. `turns`: may be NULL;
/// outlives the loop.
int cuv_loop_create(const cuv_callbacks *callbacks, size_t read_budget, cuv_turns *turns, cuv_loop **loop);

/// Runs until `cuv_loop_finish` was called and every handle and request is gone.
void cuv_loop_run(cuv_loop *loop, void *owner);

/// Closes the loop's own handles, so that `cuv_loop_run` returns when the rest is closed.
void cuv_loop_finish(cuv_loop *loop);

/// Frees the loop. `UV_EBUSY` (nothing freed) while a handle is open.
int cuv_loop_destroy(cuv_loop *loop);

/// Any thread, until `cuv_loop_finish`: `woken` is called soon, once for several calls.
void cuv_loop_wake(cuv_loop *loop);

/// Milliseconds on a monotonic clock, as of this turn of the loop.
uint64_t cuv_loop_now(const cuv_loop *loop);

/// (Re)arms the loop's one timer: fires once, `delay` milliseconds from now.
void cuv_loop_set_timer(cuv_loop *loop, uint64_t delay);

// MARK: - Listener

/// Takes over `descriptor`, in success and failure, and begins to accept.
int cuv_listener_start(cuv_loop *loop, int descriptor, void *owner, cuv_listener **listener);
void cuv_listener_resume(cuv_listener *listener);

/// What becomes of connections that nobody has accepted.
typedef enum {
    /// Accepts all that come until it is closed, since they would be reset: `accepted` may still come until
    /// `listener_closed`.
    CUV_CLOSE_LAST,
    /// Accepts the waiting connections once. Other processes that share the socket accept later ones.
    CUV_CLOSE_KEPT,
    /// Leaves all of them to others who have the socket too.
    CUV_CLOSE_HANDED,
} cuv_listener_end;

void cuv_listener_close(cuv_listener *listener, cuv_listener_end end);

/// Another descriptor of its socket, close-on-exec.
int cuv_listener_duplicate(const cuv_listener *listener);

// MARK: - TCP stream

/// A stream without a socket, to be connected; NULL without memory.
cuv_tcp *cuv_tcp_create(cuv_loop *loop, void *owner);

/// Gives the stream an accepted descriptor, of a TCP or unix socket, between which libuv makes no difference on Linux;
/// it stays the caller's if this fails.
int cuv_tcp_adopt(cuv_tcp *tcp, int descriptor);

/// `UV_EADDRNOTAVAIL`: the source address isn't one of this machine's, or there is none for the target.
/// `UV_EADDRINUSE`: no local port is free for the target.
int cuv_tcp_connect(cuv_tcp *tcp, const cuv_address *address, const cuv_egress *egress);
/// A copy of a stream socket that is connected.
int cuv_connected_duplicate(int descriptor);
/// Connects to a unix socket of this machine, at once: connected, or `UV_EAGAIN` where its queue is full.
int cuv_tcp_connect_unix(cuv_tcp *tcp, const char *path);

/// Lets the kernel find out when the peer of a stream that was connected has vanished.
void cuv_tcp_keepalive(cuv_tcp *tcp);
int cuv_tcp_local_address(const cuv_tcp *tcp, cuv_address *address);

int cuv_tcp_read_start(cuv_tcp *tcp);
void cuv_tcp_read_stop(cuv_tcp *tcp);

/// Bytes the socket took at once; `UV_EAGAIN` if none. One or two buffers, none of them empty.
ssize_t cuv_tcp_try_write(cuv_tcp *tcp, const cuv_buffer *buffers, unsigned count);

/// Writes bytes to a unix socket and passes descriptors to the process at its other end with the first of them
/// (SCM_RIGHTS, unix(7)); they stay the caller's too. Only with no write pending. Returns how many bytes went with them;
/// there must be one for each `CUV_DESCRIPTORS_A_BYTE`.
ssize_t cuv_tcp_pass(cuv_tcp *tcp, const int *descriptors, size_t count, const void *bytes);
enum { CUV_DESCRIPTORS_A_BYTE = 128 };

/// How many bytes the socket would take at once, or a little less.
size_t cuv_tcp_send_room(const cuv_tcp *tcp);

/// `written` comes when all is written; until then the memory must stay. One write at a time.
int cuv_tcp_write(cuv_tcp *tcp, const cuv_buffer *buffers, unsigned count);

/// Ends the direction towards the peer, at once; only with no write pending.
int cuv_tcp_shutdown(cuv_tcp *tcp);

/// What no event tells of a stream that isn't read: 0, `UV_EOF` once the peer has ended its direction, even behind
/// unread bytes, or the error that broke the stream. An error is told only once.
int cuv_tcp_peer_state(const cuv_tcp *tcp);

/// How the peer acknowledges what was sent to it (TCP_INFO).
typedef struct {
    /// Segments on their way, an end among them.
    uint32_t unacknowledged;
    /// Asked in vain since the last acknowledgement whether a closed window is open again.
    uint32_t probes;
    /// Milliseconds since the last acknowledgement.
    uint32_t silence;
    /// Milliseconds from one attempt to the next.
    uint32_t timeout;
} cuv_send_state;

int cuv_tcp_send_state(const cuv_tcp *tcp, cuv_send_state *state);

/// Another descriptor of the connection, which outlives the stream.
int cuv_tcp_duplicate(const cuv_tcp *tcp);

void cuv_tcp_close(cuv_tcp *tcp);

/// Closes so that the peer sees a reset, not an end.
void cuv_tcp_reset(cuv_tcp *tcp);

// MARK: - Pipe

/// Opens a pipe that blocks nobody; fails rather than being smaller.
int cuv_pipe_open(size_t capacity, int *read_end, int *write_end);

/// Moves bytes from the stream's socket into a pipe, at most `count`; 0: the stream has ended; or an error,
/// `UV_EAGAIN` among them. libuv doesn't know of it: for a stream that gave no buffer when one was wanted.
ssize_t cuv_tcp_splice_from(cuv_tcp *tcp, int write_end, size_t count);

/// Moves bytes from a pipe to the stream's socket; only with no write pending.
ssize_t cuv_tcp_splice_to(cuv_tcp *tcp, int read_end, size_t count);
ssize_t cuv_pipe_read(int read_end, cuv_buffer room);

// MARK: - UDP socket

int cuv_udp_create(cuv_loop *loop, bool is_ipv6, void *owner, cuv_udp **udp);

/// Before it is bound. The source address is for the caller to bind to.
int cuv_udp_leave_by(cuv_udp *udp, const cuv_egress *egress);

/// May be tried again with another port. An IPv6 socket leaves IPv4 alone.
int cuv_udp_bind(cuv_udp *udp, const cuv_address *address);
int cuv_udp_local_address(const cuv_udp *udp, cuv_address *address);
int cuv_udp_receive_start(cuv_udp *udp);

/// Sends now or not at all: `UV_EAGAIN` where the socket is full. `header`, at most 262 bytes, goes in front.
///
/// While datagrams are received, those sent from the same buffer go out together when all have been received, or
/// another socket sends. `datagram_sent` comes exactly once, maybe at once, with `payload`, which is the owner's
/// affair.
void cuv_udp_send(cuv_udp *udp, cuv_buffer header, cuv_buffer datagram, size_t payload, const cuv_address *address);

void cuv_udp_close(cuv_udp *udp);

/// Closes without telling the owner, who may be gone.
void cuv_udp_discard(cuv_udp *udp);

// MARK: - Name lookup

/// One `getaddrinfo` in the thread pool; `resolved` comes exactly once, and nothing else ends it.
int cuv_lookup_start(cuv_loop *loop, const char *name, void *owner, cuv_lookup **lookup);

/// Asks to skip a lookup that has not begun to run; `resolved` still comes.
void cuv_lookup_cancel(cuv_lookup *lookup);

#endif
