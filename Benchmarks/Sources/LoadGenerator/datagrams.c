/// The roles that speak UDP: through an association (RFC 1928 section 7) or straight to the target.
///
/// A datagram begins with its number, from 0, so that those which go astray are counted.
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /// Few enough for 16 associations to find room at one target.
    UNDER_WAY = 16,
    LENGTH = 512,
    VERIFIED = 2000,
    LONGEST = 1472,
    HEADER = 10,
};

/// Nanoseconds without an answer after which those under way are lost.
static const uint64_t patience = 200000000;

static bool uses_proxy(void) { return load.options.proxy.sin_port != 0; }

static bool is_verified(const struct connection *connection) {
    return connection->role == &role_verify_datagrams;
}

static size_t length_of(const struct connection *connection, uint64_t number) {
    const size_t least = sizeof number;
    return is_verified(connection) ? least + (size_t)(number * 101 % (LONGEST + 1 - least)) : LENGTH;
}

static const uint8_t *content_of(const struct connection *connection, uint64_t number) {
    return wire_pattern(connection->origin + number * LENGTH);
}

static size_t put_header(uint8_t *header) {
    if (!uses_proxy()) return 0;
    memcpy(header, (const uint8_t[]){0, 0, 0, 0x01}, 4);
    memcpy(header + 4, &load.options.target.sin_addr, 4);
    memcpy(header + 8, &load.options.target.sin_port, 2);
    return HEADER;
}

/// False: no room, or the connection has failed.
static bool send_next(struct connection *connection) {
    static uint8_t datagram[HEADER + LONGEST];
    uint64_t number = connection->sent;
    size_t header = put_header(datagram), length = length_of(connection, number);
    memcpy(datagram + header, &number, sizeof number);
    memcpy(datagram + header + sizeof number, content_of(connection, number), length - sizeof number);
    if (connection_send(connection, datagram, header + length) == 0) return false;
    connection->sent++;
    return true;
}

static void fill_window(struct connection *connection) {
    uint64_t limit = connection->settled + UNDER_WAY;
    if (is_verified(connection) && limit > VERIFIED) limit = VERIFIED;
    if (connection->sent == connection->settled) connection->heard = wire_now();
    while (connection->sent < limit) {
        if (connection->timed < connection->settled) {
            connection->timed = connection->sent;
            connection->began = wire_now();
        }
        if (!send_next(connection)) return;
    }
}

/// Where the proxy wants datagrams sent to.
static bool find_relay(struct connection *connection, struct sockaddr_in *relay) {
    const uint8_t *answer = connection->answer;
    *relay = uses_proxy() ? load.options.proxy : load.options.target;
    if (!uses_proxy()) return true;
    if (answer[3] != 0x01) {
        connection_fail(connection, "address type %02x of an association", answer[3]);
        return false;
    }
    memcpy(&relay->sin_port, answer + 8, 2);
    const uint8_t any[4] = {0};
    if (memcmp(answer + 4, any, 4) != 0) memcpy(&relay->sin_addr, answer + 4, 4);
    return true;
}

/// From now on events are those of the datagrams' socket. Should the proxy end the association, nothing comes back.
static void datagrams_opened(struct connection *connection) {
    struct sockaddr_in relay;
    if (!find_relay(connection, &relay)) return;
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return connection_fail(connection, "socket: %s", strerror(errno));
    epoll_ctl(load.epoll, EPOLL_CTL_DEL, connection->descriptor, NULL);
    connection->control = connection->descriptor;
    connection->descriptor = descriptor;
    connection->events = 0;
    if (connect(descriptor, (struct sockaddr *)&relay, sizeof relay) < 0)
        return connection_fail(connection, "connect for datagrams: %s", strerror(errno));
    connection_want(connection, EPOLLIN);
    fill_window(connection);
}

/// The header of an answer tells where it comes from, which has to be the target.
static bool has_right_header(const uint8_t *datagram) {
    uint8_t header[HEADER];
    return memcmp(datagram, header, put_header(header)) == 0;
}

static bool is_right(const struct connection *connection, const uint8_t *payload, size_t count) {
    uint64_t number;
    memcpy(&number, payload, sizeof number);
    if (number >= connection->sent || count != length_of(connection, number)) return false;
    return !is_verified(connection) ||
           memcmp(payload + sizeof number, content_of(connection, number), count - sizeof number) == 0;
}

static void take(struct connection *connection, const uint8_t *datagram, size_t count) {
    size_t header = uses_proxy() ? HEADER : 0;
    uint64_t number;
    if (count < header + sizeof number || !has_right_header(datagram) ||
        !is_right(connection, datagram + header, count - header))
        return connection_fail(connection, "wrong data in a datagram of %zu bytes", count);
    memcpy(&number, datagram + header, sizeof number);
    if (is_verified(connection) && number != connection->settled)
        return connection_fail(connection, "datagram %llu in place of %llu", (unsigned long long)number,
            (unsigned long long)connection->settled);
    connection->received++;
    load.units += 2;
    if (number == connection->timed) histogram_add(&load.times, connection->heard - connection->began);
    if (number >= connection->settled) connection->settled = number + 1;
    if (connection->received > connection->settled) connection_fail(connection, "a datagram has come twice");
}

static void datagrams_readable(struct connection *connection) {
    static uint8_t datagram[2048];
    connection->heard = wire_now();
    for (int i = 0; i < UNDER_WAY; i++) {
        size_t count = connection_receive(connection, datagram, sizeof datagram);
        if (count == 0) break;
        take(connection, datagram, count);
        if (connection->stage != STAGE_OPEN) return;
    }
    if (connection->stage != STAGE_OPEN) return;
    if (is_verified(connection) && connection->received == VERIFIED) {
        load.finished++;
        return connection_close(connection);
    }
    fill_window(connection);
}

uint64_t datagrams_lost(void) {
    uint64_t lost = 0;
    for (size_t i = 0; i < load.count; i++) {
        const struct connection *connection = &load.connections[i];
        if (connection->role->associates) lost += connection->settled - connection->received;
    }
    return lost;
}

void datagrams_give_up(void) {
    static uint64_t last;
    uint64_t now = wire_now();
    if (now - last < patience / 4) return;
    last = now;
    for (size_t i = 0; i < load.next; i++) {
        struct connection *connection = &load.connections[i];
        if (connection->stage != STAGE_OPEN || now - connection->heard < patience) continue;
        if (is_verified(connection)) {
            connection_fail(connection, "%llu datagrams were lost",
                (unsigned long long)(connection->sent - connection->received));
            continue;
        }
        connection->settled = connection->sent;
        fill_window(connection);
    }
}

const struct role role_datagrams = {"datagrams", datagrams_opened, datagrams_readable, NULL, .associates = true};

const struct role role_verify_datagrams = {
    "verified datagrams", datagrams_opened, datagrams_readable, NULL, .associates = true};
