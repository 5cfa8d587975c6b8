/// Connecting, and the client's side of RFC 1928 and 1929: one message after the other, as clients do.
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOURCES = 8 };

static bool uses_proxy(void) { return load.options.proxy.sin_port != 0; }

void connection_want(struct connection *connection, uint32_t events) {
    if (connection->events == events) return;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    int operation = connection->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    connection->events = events;
    epoll_ctl(load.epoll, operation, connection->descriptor, &event);
}

void connection_close(struct connection *connection) {
    if (connection->stage == STAGE_CLOSED) return;
    if (connection->stage == STAGE_OPEN) load.open--; else load.opening--;
    connection->stage = STAGE_CLOSED;
    connection->events = 0;
    close(connection->descriptor);
    if (connection->control > 0) close(connection->control);
    connection->control = 0;
}

void connection_fail(struct connection *connection, const char *format, ...) {
    if (load.errors++ == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(load.problem, sizeof load.problem, format, arguments);
        va_end(arguments);
    }
    connection_close(connection);
}

static bool is_only_not_yet(int error) { return error == EAGAIN || error == EINTR || error == EINPROGRESS; }

size_t connection_send(struct connection *connection, const void *bytes, size_t count) {
    ssize_t done = send(connection->descriptor, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done >= 0) return (size_t)done;
    if (!is_only_not_yet(errno)) connection_fail(connection, "send: %s", strerror(errno));
    return 0;
}

size_t connection_receive(struct connection *connection, void *bytes, size_t count) {
    ssize_t done = recv(connection->descriptor, bytes, count, MSG_DONTWAIT);
    if (done > 0) return (size_t)done;
    if (done == 0) {
        connection_fail(connection, "the connection ended early");
    } else if (!is_only_not_yet(errno)) {
        connection_fail(connection, "recv: %s", strerror(errno));
    }
    return 0;
}

/// A message of the handshake fits into an empty socket buffer.
static void say(struct connection *connection, const uint8_t *message, size_t count, enum stage next) {
    connection->answered = 0;
    connection->stage = next;
    if (connection_send(connection, message, count) != count && connection->stage != STAGE_CLOSED)
        connection_fail(connection, "a message of the handshake found no room");
}

static void opened(struct connection *connection) {
    connection->stage = STAGE_OPEN;
    load.opening--;
    load.open++;
    if (load.begins) connection->role->opened(connection);
}

static void greet(struct connection *connection) {
    uint8_t method = load.options.name[0] != 0 ? 0x02 : 0x00;
    say(connection, (const uint8_t[]){0x05, 1, method}, 3, STAGE_SELECTION);
}

static void log_in(struct connection *connection) {
    uint8_t message[3 + 2 * 255];
    size_t name = strlen(load.options.name), password = strlen(load.options.password);
    message[0] = 0x01;
    message[1] = (uint8_t)name;
    memcpy(message + 2, load.options.name, name);
    message[2 + name] = (uint8_t)password;
    memcpy(message + 3 + name, load.options.password, password);
    say(connection, message, 3 + name + password, STAGE_LOGIN);
}

void connection_ask(struct connection *connection, const char *name) {
    uint8_t message[7 + 255] = {0x05, 0x01, 0x00, 0x03};
    size_t length = strlen(name);
    message[4] = (uint8_t)length;
    memcpy(message + 5, name, length);
    memcpy(message + 5 + length, &load.options.target.sin_port, 2);
    load.open--;
    load.opening++;
    connection->began = wire_now();
    connection->sent = 1;
    say(connection, message, 7 + length, STAGE_REPLY);
}

static void request(struct connection *connection) {
    if (connection->role->resolves) return opened(connection);
    // An association's datagrams come from a port that isn't known yet: 0.0.0.0:0.
    uint8_t message[10] = {0x05, connection->role->associates ? 0x03 : 0x01, 0x00, 0x01};
    if (!connection->role->associates) {
        memcpy(message + 4, &load.options.target.sin_addr, 4);
        memcpy(message + 8, &load.options.target.sin_port, 2);
    }
    say(connection, message, sizeof message, STAGE_REPLY);
}

/// Several clients, 127.0.0.1 to 127.0.0.8: a server may share its lookups out among them.
static void bind_to_source(struct connection *connection) {
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)((connection - load.connections) % SOURCES));
    bind(connection->descriptor, (const struct sockaddr *)&source, sizeof source);
}

void connection_start(struct connection *connection) {
    connection->stage = STAGE_CONNECTING;
    connection->began = wire_now();
    connection->events = 0;
    connection->sent = 0;
    connection->received = 0;
    load.opening++;
    connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->descriptor < 0) return connection_fail(connection, "socket: %s", strerror(errno));
    const int on = 1;
    setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connection->role->resolves) bind_to_source(connection);
    const struct sockaddr_in *address = uses_proxy() ? &load.options.proxy : &load.options.target;
    if (connect(connection->descriptor, (const struct sockaddr *)address, sizeof *address) < 0) {
        if (errno != EINPROGRESS) return connection_fail(connection, "connect: %s", strerror(errno));
        return connection_want(connection, EPOLLOUT);
    }
    connection_want(connection, EPOLLIN);
    if (uses_proxy()) greet(connection); else opened(connection);
}

static void connected(struct connection *connection) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return connection_fail(connection, "connect: %s", strerror(error));
    connection_want(connection, EPOLLIN);
    if (uses_proxy()) greet(connection); else opened(connection);
}

/// Collects an answer; the target says nothing before it is spoken to, so that no payload follows.
static bool has_answer(struct connection *connection, size_t length) {
    if (connection->answered < length)
        connection->answered += (uint8_t)connection_receive(
            connection, connection->answer + connection->answered, length - connection->answered);
    return connection->stage != STAGE_CLOSED && connection->answered >= length;
}

static void take_selection(struct connection *connection) {
    if (!has_answer(connection, 2)) return;
    const uint8_t *answer = connection->answer;
    if (answer[0] == 0x05 && answer[1] == 0x00) return request(connection);
    if (answer[0] == 0x05 && answer[1] == 0x02) return log_in(connection);
    connection_fail(connection, "method selection %02x %02x", answer[0], answer[1]);
}

static void take_login(struct connection *connection) {
    if (!has_answer(connection, 2)) return;
    if (connection->answer[1] == 0x00) return request(connection);
    connection_fail(connection, "login refused: %02x", connection->answer[1]);
}

static void take_reply(struct connection *connection) {
    // The shortest there is, with an IPv4 address.
    if (!has_answer(connection, 10)) return;
    const uint8_t *answer = connection->answer;
    if (answer[0] != 0x05 || answer[1] != 0x00) return connection_fail(connection, "reply %02x", answer[1]);
    if (answer[3] == 0x01 || (answer[3] == 0x04 && has_answer(connection, 22))) return opened(connection);
    if (answer[3] != 0x04) connection_fail(connection, "address type %02x in a reply", answer[3]);
}

void connection_ready(struct connection *connection, uint32_t events) {
    switch (connection->stage) {
    case STAGE_CONNECTING: return connected(connection);
    case STAGE_SELECTION: return take_selection(connection);
    case STAGE_LOGIN: return take_login(connection);
    case STAGE_REPLY: return take_reply(connection);
    case STAGE_OPEN:
        if ((events & EPOLLOUT) && connection->role->writable != NULL) connection->role->writable(connection);
        if (connection->stage == STAGE_OPEN && (events & ~(uint32_t)EPOLLOUT))
            connection->role->readable(connection);
        return;
    case STAGE_NEW:
    case STAGE_CLOSED: return;
    }
}
