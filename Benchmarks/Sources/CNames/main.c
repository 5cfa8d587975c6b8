/// CNames: a DNS server on 127.0.0.1:53. Every name is 127.0.0.1, after 20 ms; one that begins with "slow", after 5 s.
/// Prints "serving", and serves until it is killed.
#define _GNU_SOURCE
#include "CWire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { HEADER = 12, MOST_BYTES = 512, TYPE_A = 1 };

struct answer {
    struct answer *next;
    uint64_t due;
    struct sockaddr_in client;
    size_t length;
    uint8_t bytes[MOST_BYTES];
};

/// Answers that wait equally long: the first in is the first out.
struct queue {
    uint64_t delay;
    struct answer *first;
    struct answer **last;
};

static struct queue quick = {.delay = 20000000, .last = &quick.first};
static struct queue slow = {.delay = 5000000000, .last = &slow.first};

/// Turns a query of one question into its answer (RFC 1035 section 4): an address for A, none for other types.
/// Returns the length, 0 for what is no such query.
static size_t answer_to(uint8_t *bytes, size_t length) {
    static const uint8_t record[] = {0xc0, HEADER, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1};
    size_t end = HEADER;
    while (end < length && bytes[end] != 0) end += bytes[end] + 1u;
    end += 5;
    if (end > length || end + sizeof record > MOST_BYTES) return 0;
    int has_address = bytes[end - 4] == 0 && bytes[end - 3] == TYPE_A;
    const uint8_t header[] = {0x81, 0x80, 0, 1, 0, (uint8_t)has_address, 0, 0, 0, 0};
    memcpy(bytes + 2, header, sizeof header);
    if (!has_address) return end;
    memcpy(bytes + end, record, sizeof record);
    return end + sizeof record;
}

static void take_query(int descriptor) {
    struct answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL) wire_fail("no memory");
    socklen_t size = sizeof answer->client;
    ssize_t length =
        recvfrom(descriptor, answer->bytes, MOST_BYTES, 0, (struct sockaddr *)&answer->client, &size);
    if (length > 0) answer->length = answer_to(answer->bytes, (size_t)length);
    if (answer->length == 0) return free(answer);
    struct queue *queue = memcmp(answer->bytes + HEADER + 1, "slow", 4) == 0 ? &slow : &quick;
    answer->due = wire_now() + queue->delay;
    *queue->last = answer;
    queue->last = &answer->next;
}

static void send_due(struct queue *queue, int descriptor) {
    while (queue->first != NULL && queue->first->due <= wire_now()) {
        struct answer *answer = queue->first;
        sendto(descriptor, answer->bytes, answer->length, 0, (struct sockaddr *)&answer->client,
            sizeof answer->client);
        queue->first = answer->next;
        if (queue->first == NULL) queue->last = &queue->first;
        free(answer);
    }
}

int main(void) {
    wire_die_with_parent();
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int room = 4 << 20;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(descriptor, (const struct sockaddr *)&address, sizeof address) < 0)
        wire_fail("127.0.0.1:53: %s", strerror(errno));
    puts("serving");
    fflush(stdout);
    while (1) {
        uint64_t now = wire_now(), due = UINT64_MAX;
        if (quick.first != NULL) due = quick.first->due;
        if (slow.first != NULL && slow.first->due < due) due = slow.first->due;
        uint64_t left = due > now ? due - now : 0;
        const struct timespec timeout = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
        struct pollfd ready = {.fd = descriptor, .events = POLLIN};
        if (ppoll(&ready, 1, due == UINT64_MAX ? NULL : &timeout, NULL) > 0) take_query(descriptor);
        send_due(&quick, descriptor);
        send_due(&slow, descriptor);
    }
}
