#define _GNU_SOURCE
#include "CWire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

const uint8_t *wire_pattern(uint64_t offset) {
    static uint8_t pattern[WIRE_PERIOD + WIRE_CHUNK];
    static int is_made;
    if (!is_made) {
        // xorshift: no byte tells its neighbour.
        uint32_t state = 2463534242u;
        for (size_t i = 0; i < sizeof pattern; i++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            pattern[i] = i < WIRE_PERIOD ? (uint8_t)(state >> 24) : pattern[i - WIRE_PERIOD];
        }
        is_made = 1;
    }
    return pattern + offset % WIRE_PERIOD;
}

int wire_parse_address(const char *text, struct sockaddr_in *address) {
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host) return -1;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    char *rest;
    unsigned long port = strtoul(colon + 1, &rest, 10);
    if (colon[1] == 0 || *rest != 0 || port > 65535) return -1;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &address->sin_addr) == 1 ? 0 : -1;
}

uint64_t wire_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void wire_die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

void wire_raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void wire_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}
