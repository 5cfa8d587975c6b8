/// What the load generator and the echo server agree on.
///
/// The first byte that a client sends on a connection says what the server does with the rest of it. The
/// command travels in the connection so that a forwarder with one fixed target can carry all of them. Datagrams
/// come back as they are.
#ifndef CWIRE_H
#define CWIRE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /// The server sends the pattern for ever.
    WIRE_SOURCE = 'D',
    /// The same out of a small buffer, as if the server's memory were another machine's.
    WIRE_FAR_SOURCE = 'F',
    /// The server reads and forgets.
    WIRE_SINK = 'U',
    /// What comes goes back; the end too.
    WIRE_ECHO = 'E',
    /// The server sends one byte.
    WIRE_ONCE = 'C',
    /// The server sends WIRE_PORTION bytes of the pattern.
    WIRE_SOME = 'H',
    /// The server answers this byte, as often as it comes, with the number of bytes that all sinks have got
    /// so far: 8 bytes in the machine's order.
    WIRE_TOTAL = 'T',
};

enum {
    /// Bytes a system call at the most, on both sides.
    WIRE_CHUNK = 256 << 10,
    WIRE_PORTION = 100 << 10,
    /// After so many bytes the pattern begins anew: a prime, so that a piece that went astray by any
    /// usual buffer size doesn't fit.
    WIRE_PERIOD = 65521,
};

/// WIRE_CHUNK bytes of the pattern from an offset on; valid for ever.
const uint8_t *wire_pattern(uint64_t offset);

/// Reads "127.0.0.1:1080"; -1: that is something else.
int wire_parse_address(const char *text, struct sockaddr_in *address);

/// Monotonic time in nanoseconds.
uint64_t wire_now(void);

/// Lets the kernel end this process with the one that started it.
void wire_die_with_parent(void);

/// As many descriptors as the hard limit allows.
void wire_raise_descriptors(void);

/// Writes "PROGRAM: MESSAGE" to standard error and exits with 1.
_Noreturn void wire_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
