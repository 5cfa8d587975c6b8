/// CEcho [ADDR:PORT]: the target of the benchmark, one thread on epoll; sends datagrams to the same port back. Prints "listening on ADDR:PORT", then
/// once a second what has moved: "second received=BYTES sent=BYTES connections=NOW", until it is killed.
#define _GNU_SOURCE
#include "CWire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { BACKLOG = 4096, EVENTS = 256, ACCEPTS_A_TURN = 64, DATAGRAMS_A_TURN = 64 };

/// One client. Memory is needed only for what an echo couldn't send back at once.
struct peer {
    int descriptor;
    uint8_t command;
    uint32_t events;
    /// What a source has sent.
    uint64_t sent;
    uint8_t *held;
    size_t held_from;
    size_t held_to;
};

static struct {
    int epoll;
    int listener;
    int datagrams;
    int timer;
    uint64_t received;
    uint64_t sent;
    uint64_t in_sinks;
    size_t connections;
} server;

static uint8_t scratch[WIRE_CHUNK];

static void want(struct peer *peer, uint32_t events) {
    if (peer->events == events) return;
    peer->events = events;
    struct epoll_event event = {.events = events, .data.ptr = peer};
    epoll_ctl(server.epoll, EPOLL_CTL_MOD, peer->descriptor, &event);
}

static void end(struct peer *peer) {
    close(peer->descriptor);
    free(peer->held);
    free(peer);
    server.connections--;
}

/// The number of bytes, 0 if the socket takes none now; -1: the peer is gone.
static ssize_t put(struct peer *peer, const void *bytes, size_t count) {
    ssize_t done = send(peer->descriptor, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    server.sent += (uint64_t)done;
    return done;
}

/// Sends the pattern up to a number of bytes. -1: the peer is gone.
static int pour(struct peer *peer, uint64_t limit) {
    uint64_t left = limit - peer->sent;
    size_t count = left < WIRE_CHUNK ? (size_t)left : WIRE_CHUNK;
    ssize_t done = count > 0 ? put(peer, wire_pattern(peer->sent), count) : 0;
    if (done < 0) return -1;
    peer->sent += (uint64_t)done;
    want(peer, EPOLLIN | (peer->sent < limit ? EPOLLOUT : 0));
    return 0;
}

/// Sends what is held back, or else what was just read; reads no more until nothing is held. -1: gone.
static int echo(struct peer *peer, const uint8_t *bytes, size_t count) {
    ssize_t done = put(peer, bytes, count);
    if (done < 0) return -1;
    if (peer->held != NULL) {
        peer->held_from += (size_t)done;
        if (peer->held_from < peer->held_to) return 0;
        free(peer->held);
        peer->held = NULL;
        want(peer, EPOLLIN);
    } else if ((size_t)done < count) {
        peer->held_from = 0;
        peer->held_to = count - (size_t)done;
        peer->held = malloc(peer->held_to);
        if (peer->held == NULL) return -1;
        memcpy(peer->held, bytes + done, peer->held_to);
        want(peer, EPOLLOUT);
    }
    return 0;
}

static int answer_total(struct peer *peer) {
    return put(peer, &server.in_sinks, sizeof server.in_sinks) == sizeof server.in_sinks ? 0 : -1;
}

/// -1: the connection is over.
static int obey(struct peer *peer) {
    switch (peer->command) {
    case WIRE_SOURCE:
    case WIRE_FAR_SOURCE: return pour(peer, UINT64_MAX);
    case WIRE_SOME: return pour(peer, WIRE_PORTION);
    case WIRE_ONCE: return put(peer, "C", 1) == 1 ? 0 : -1;
    case WIRE_TOTAL: return answer_total(peer);
    case WIRE_SINK:
    case WIRE_ECHO: return 0;
    default: return -1;
    }
}

static int take(struct peer *peer) {
    size_t wanted = peer->command == 0 ? 1 : sizeof scratch;
    ssize_t count = recv(peer->descriptor, scratch, wanted, MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (count == 0) return -1;
    server.received += (uint64_t)count;
    if (peer->command == 0) {
        peer->command = scratch[0];
        const int small = 16 << 10;
        if (peer->command == WIRE_FAR_SOURCE)
            setsockopt(peer->descriptor, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        return obey(peer);
    }
    if (peer->command == WIRE_SINK) server.in_sinks += (uint64_t)count;
    if (peer->command == WIRE_ECHO) return echo(peer, scratch, (size_t)count);
    if (peer->command == WIRE_TOTAL) return answer_total(peer);
    return 0;
}

static void serve(struct peer *peer, uint32_t events) {
    int result = 0;
    if ((events & EPOLLOUT) && peer->held != NULL) {
        result = echo(peer, peer->held + peer->held_from, peer->held_to - peer->held_from);
    } else if (events & EPOLLOUT) {
        result = obey(peer);
    }
    if (result == 0 && (events & ~(uint32_t)EPOLLOUT)) result = take(peer);
    if (result < 0) end(peer);
}

static void accept_some(void) {
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int descriptor = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) return;
        const int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer *peer = calloc(1, sizeof *peer);
        if (peer == NULL) wire_fail("no memory");
        peer->descriptor = descriptor;
        peer->events = EPOLLIN;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, descriptor, &event);
        server.connections++;
    }
}

/// What can't be sent back at once is lost.
static void echo_datagrams(void) {
    for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        ssize_t count =
            recvfrom(server.datagrams, scratch, sizeof scratch, 0, (struct sockaddr *)&peer, &length);
        if (count < 0) return;
        server.received += (uint64_t)count;
        ssize_t done = sendto(server.datagrams, scratch, (size_t)count, 0, (struct sockaddr *)&peer, length);
        if (done > 0) server.sent += (uint64_t)done;
    }
}

static void listen_on(const char *text) {
    struct sockaddr_in address;
    if (wire_parse_address(text, &address) < 0) wire_fail("%s: expected ADDR:PORT", text);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t length = sizeof address;
    if (bind(server.listener, (struct sockaddr *)&address, length) < 0 ||
        listen(server.listener, BACKLOG) < 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &length) < 0)
        wire_fail("%s: %s", text, strerror(errno));
    server.datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // For all that the load generator has under way: as much as is permitted.
    const int room = 4 << 20;
    if (setsockopt(server.datagrams, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
        setsockopt(server.datagrams, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(server.datagrams, (struct sockaddr *)&address, length) < 0)
        wire_fail("%s, datagrams: %s", text, strerror(errno));
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    printf("listening on %s:%d\n", host, ntohs(address.sin_port));
}

static void watch(int descriptor, void *mark) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
    if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, descriptor, &event) < 0)
        wire_fail("epoll: %s", strerror(errno));
}

int main(int count, char **arguments) {
    wire_die_with_parent();
    wire_raise_descriptors();
    setvbuf(stdout, NULL, _IOLBF, 0);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    server.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    const struct itimerspec second = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};
    timerfd_settime(server.timer, 0, &second, NULL);
    listen_on(count > 1 ? arguments[1] : "127.0.0.1:0");
    watch(server.listener, &server.listener);
    watch(server.datagrams, &server.datagrams);
    watch(server.timer, &server.timer);

    while (1) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(server.epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            void *mark = events[i].data.ptr;
            if (mark == &server.listener) {
                accept_some();
            } else if (mark == &server.datagrams) {
                echo_datagrams();
            } else if (mark == &server.timer) {
                uint64_t ticks;
                if (read(server.timer, &ticks, sizeof ticks) < 0) continue;
                printf("second received=%llu sent=%llu connections=%zu\n",
                    (unsigned long long)server.received, (unsigned long long)server.sent,
                    server.connections);
            } else {
                serve(mark, events[i].events);
            }
        }
    }
}
