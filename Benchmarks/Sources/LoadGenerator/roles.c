/// What connections do: each mode of the generator is one of these roles.
#include "load.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { PING = 64, VERIFIED = 16 << 20 };

static uint8_t scratch[WIRE_CHUNK];

static void command(struct connection *connection, uint8_t byte) {
    if (connection_send(connection, &byte, 1) != 1 && connection->stage == STAGE_OPEN)
        connection_fail(connection, "no room for a byte");
}

// MARK: - download

static void download_opened(struct connection *connection) { command(connection, WIRE_SOURCE); }

static void download_readable(struct connection *connection) {
    load.received += connection_receive(connection, scratch, sizeof scratch);
}

const struct role role_download = {"download", download_opened, download_readable, NULL};

// MARK: - upload

static void upload_writable(struct connection *connection) {
    size_t done = connection_send(connection, wire_pattern(connection->sent), WIRE_CHUNK);
    connection->sent += done;
    load.sent += done;
}

static void upload_opened(struct connection *connection) {
    command(connection, WIRE_SINK);
    if (connection->stage == STAGE_OPEN) connection_want(connection, EPOLLIN | EPOLLOUT);
}

/// A sink says nothing, so that this is the end or an error.
static void upload_readable(struct connection *connection) {
    if (connection_receive(connection, scratch, sizeof scratch) > 0)
        connection_fail(connection, "a sink has sent something");
}

const struct role role_upload = {"upload", upload_opened, upload_readable, upload_writable};

// MARK: - echo

/// Refills the window when half of it has come back: then the sends are large.
static void echo_writable(struct connection *connection) {
    uint64_t under_way = connection->sent - connection->received;
    if (under_way > load.options.window / 2) return connection_want(connection, EPOLLIN);
    uint64_t room = load.options.window - under_way;
    while (room > 0) {
        size_t count = room < WIRE_CHUNK ? (size_t)room : WIRE_CHUNK;
        size_t done = connection_send(connection, wire_pattern(connection->sent), count);
        if (connection->stage != STAGE_OPEN) return;
        connection->sent += done;
        load.sent += done;
        room -= done;
        if (done < count) return connection_want(connection, EPOLLIN | EPOLLOUT);
    }
    connection_want(connection, EPOLLIN);
}

static void echo_opened(struct connection *connection) {
    command(connection, WIRE_ECHO);
    if (connection->stage == STAGE_OPEN) echo_writable(connection);
}

static void echo_readable(struct connection *connection) {
    size_t count = connection_receive(connection, scratch, sizeof scratch);
    connection->received += count;
    load.received += count;
    if (connection->stage == STAGE_OPEN) echo_writable(connection);
}

const struct role role_echo = {"echo", echo_opened, echo_readable, echo_writable};

// MARK: - cycle

static void cycle_opened(struct connection *connection) { command(connection, WIRE_ONCE); }

static void cycle_readable(struct connection *connection) {
    if (connection_receive(connection, scratch, 1) == 0) return;
    connection_close(connection);
    load.units++;
    histogram_add(&load.times, wire_now() - connection->began);
}

const struct role role_cycle = {"cycle", cycle_opened, cycle_readable, NULL};

// MARK: - pingpong

static void ping(struct connection *connection) {
    connection->received = 0;
    connection->began = wire_now();
    if (connection_send(connection, wire_pattern(0), PING) != PING && connection->stage == STAGE_OPEN)
        connection_fail(connection, "no room for a ping");
}

static void pingpong_opened(struct connection *connection) {
    command(connection, WIRE_ECHO);
    if (connection->stage == STAGE_OPEN) ping(connection);
}

static void pingpong_readable(struct connection *connection) {
    connection->received += connection_receive(connection, scratch, (size_t)(PING - connection->received));
    if (connection->stage != STAGE_OPEN || connection->received < PING) return;
    load.units++;
    histogram_add(&load.times, wire_now() - connection->began);
    ping(connection);
}

const struct role role_pingpong = {"pingpong", pingpong_opened, pingpong_readable, NULL};

// MARK: - idle

static void idle_opened(struct connection *connection) { (void)connection; }

/// Only what the run has asked for comes, see `use_all` in main.c.
static void idle_readable(struct connection *connection) {
    size_t count = connection_receive(connection, scratch, sizeof scratch);
    connection->received += count;
    load.received += count;
    if (connection->received == WIRE_PORTION && count > 0) load.finished++;
}

const struct role role_idle = {"idle", idle_opened, idle_readable, NULL};

// MARK: - stalled

static void stalled_opened(struct connection *connection) {
    command(connection, WIRE_FAR_SOURCE);
    if (connection->stage == STAGE_OPEN) connection_want(connection, 0);
}

/// Nothing is read, so that this is an error of the connection.
static void stalled_readable(struct connection *connection) {
    connection_fail(connection, "a stalled connection has ended");
}

const struct role role_stalled = {"stalled", stalled_opened, stalled_readable, NULL};

// MARK: - names

/// Twice: when the proxy waits for a request, and when it has resolved the name and connected.
static void names_opened(struct connection *connection) {
    if (connection->sent == 0) return;
    load.units++;
    histogram_add(&load.times, wire_now() - connection->began);
    load.finished++;
}

static void names_readable(struct connection *connection) {
    connection_fail(connection, "something came that nobody has asked for");
}

const struct role role_names = {"names", names_opened, names_readable, NULL, .resolves = true};

// MARK: - verify

static bool is_right(struct connection *connection, size_t count) {
    if (memcmp(scratch, wire_pattern(connection->origin + connection->received), count) == 0) {
        connection->received += count;
        load.received += count;
        return true;
    }
    connection_fail(connection, "wrong data within bytes %llu to %llu of %s",
        (unsigned long long)connection->received, (unsigned long long)(connection->received + count),
        connection->role->name);
    return false;
}

static void verify_echo_writable(struct connection *connection) {
    uint64_t under_way = connection->sent - connection->received;
    uint64_t left = VERIFIED - connection->sent, room = load.options.window - under_way;
    size_t count = left < WIRE_CHUNK ? (size_t)left : WIRE_CHUNK;
    if (count > room) count = (size_t)room;
    const uint8_t *bytes = wire_pattern(connection->origin + connection->sent);
    if (count > 0) connection->sent += connection_send(connection, bytes, count);
    if (connection->stage != STAGE_OPEN) return;
    bool waits = connection->sent < VERIFIED && connection->sent - connection->received < load.options.window;
    connection_want(connection, EPOLLIN | (waits ? EPOLLOUT : 0));
}

static void verify_echo_opened(struct connection *connection) {
    command(connection, WIRE_ECHO);
    if (connection->stage == STAGE_OPEN) connection_want(connection, EPOLLIN | EPOLLOUT);
}

/// Every byte has to come back, and then the end. Ours waits for the bytes: some proxies know no half-close.
static void verify_echo_readable(struct connection *connection) {
    if (connection->received == VERIFIED) {
        ssize_t rest = recv(connection->descriptor, scratch, 1, MSG_DONTWAIT);
        if (rest != 0)
            return connection_fail(connection, "no end behind the last byte of %s", connection->role->name);
        load.finished++;
        return connection_close(connection);
    }
    size_t left = VERIFIED - connection->received;
    size_t count = connection_receive(connection, scratch, left < sizeof scratch ? left : sizeof scratch);
    if (count == 0 || !is_right(connection, count)) return;
    if (connection->received == VERIFIED) shutdown(connection->descriptor, SHUT_WR);
    verify_echo_writable(connection);
}

const struct role role_verify_echo = {
    "verified echo", verify_echo_opened, verify_echo_readable, verify_echo_writable};

static void verify_download_readable(struct connection *connection) {
    size_t count = connection_receive(connection, scratch, sizeof scratch);
    if (count == 0 || !is_right(connection, count) || connection->received < VERIFIED) return;
    load.finished++;
    connection_close(connection);
}

const struct role role_verify_download = {
    "verified download", download_opened, verify_download_readable, NULL};
