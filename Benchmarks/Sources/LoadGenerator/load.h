/// The parts of the load generator: connections (connection.c) that play a role (roles.c) in a run (main.c).
#ifndef LOAD_H
#define LOAD_H

#include "CWire.h"
#include "histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

/// What a connection does from the moment the target can be reached.
struct role {
    const char *name;
    void (*opened)(struct connection *connection);
    void (*readable)(struct connection *connection);
    /// Not for roles that never wait for room.
    void (*writable)(struct connection *connection);
    /// Asks the proxy for UDP ASSOCIATE rather than CONNECT.
    bool associates;
    /// Is open as soon as the proxy waits for a request, see `connection_ask`.
    bool resolves;
};

extern const struct role role_download, role_upload, role_echo, role_cycle, role_pingpong, role_idle, role_stalled,
    role_verify_echo, role_verify_download, role_datagrams, role_verify_datagrams,
    role_names;

struct options {
    struct sockaddr_in target;
    /// `sin_port` 0: straight to the target, or to a forwarder in its place.
    struct sockaddr_in proxy;
    /// With a name that is not empty the proxy is offered username and password (RFC 1929).
    char name[256];
    char password[256];
    /// Bytes that an echo has under way at the most.
    uint64_t window;
};

/// All that one run has.
struct load {
    struct options options;
    int epoll;
    struct connection *connections;
    size_t count;
    /// Connections not begun yet are those from here on.
    size_t next;
    /// Connecting, or talking to the proxy.
    size_t opening;
    size_t open;
    /// Whether roles begin as soon as their connection is open; else all at once, see `open_all` in main.c.
    bool begins;
    /// Connections that have done all that their role asks for.
    size_t finished;

    uint64_t received;
    uint64_t sent;
    /// Cycles, round trips, or datagrams with those that came back.
    uint64_t units;
    uint64_t errors;
    /// What the first error was.
    char problem[128];
    struct histogram times;
};

/// The one there is.
extern struct load load;

enum stage {
    STAGE_NEW,
    STAGE_CONNECTING,
    STAGE_SELECTION,
    STAGE_LOGIN,
    STAGE_REPLY,
    STAGE_OPEN,
    STAGE_CLOSED,
};

struct connection {
    const struct role *role;
    int descriptor;
    /// The connection that an association lasts as long as, whose datagrams pass `descriptor`; 0: none.
    int control;
    enum stage stage;
    uint32_t events;
    /// What the proxy has answered so far.
    uint8_t answer[22];
    uint8_t answered;
    /// When the cycle or round trip began.
    uint64_t began;
    /// Of the current transfer, for the role's use.
    uint64_t sent;
    uint64_t received;
    /// Where in the pattern this connection begins.
    uint64_t origin;
    /// Of an association: datagrams sent before this one aren't waited for any more.
    uint64_t settled;
    /// The datagram whose time is taken from `began` on.
    uint64_t timed;
    /// When it last got a datagram, or began to wait for one.
    uint64_t heard;
};

/// Connects, and greets the proxy if there is one.
void connection_start(struct connection *connection);
void connection_ready(struct connection *connection, uint32_t events);
/// For a role that resolves: asks for the target by a name, after which the role is opened once more.
void connection_ask(struct connection *connection, const char *name);
/// Waits for epoll events.
void connection_want(struct connection *connection, uint32_t events);
void connection_close(struct connection *connection);
/// Counts an error and closes.
void connection_fail(struct connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/// The number of bytes; 0: none now, or the connection has failed (then its stage is STAGE_CLOSED).
size_t connection_send(struct connection *connection, const void *bytes, size_t count);
/// The same; an end of the stream is a failure too.
size_t connection_receive(struct connection *connection, void *bytes, size_t count);

/// Datagrams that went astray so far.
uint64_t datagrams_lost(void);
/// To be called now and then: gives up what has been under way for too long.
void datagrams_give_up(void);

#endif
