#ifndef CUV_INTERNAL_H
#define CUV_INTERNAL_H

#include "CUV.h"

#include <netinet/in.h>
#include <uv.h>

/// How long the turns of a loop took, see `cuv_turns_create`. The loop's thread writes, other threads read, by relaxed
/// atomics.
struct cuv_turns {
    /// The extra bucket counts turns that took longer than all bounds.
    uint64_t counts[CUV_TURN_BOUNDS + 1];
    uint64_t milliseconds;
};

/// In ascending order; most turns don't exceed the first.
static const uint64_t cuv_turn_bounds[CUV_TURN_BOUNDS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

struct cuv_loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_timer_t timer;
    uv_prepare_t prepare;
    cuv_callbacks callbacks;
    void *owner;
    size_t read_budget;
    /// Counts the turns, so that a stream knows whether its budget starts again.
    uint32_t turn;
    /// The loop's time when the turn's callbacks began; `NO_TURN` before the first turn.
    uint64_t began;
    /// Not owned by the loop; `own_turns` if the caller passed none.
    cuv_turns *turns;
    cuv_turns own_turns;
    /// Requests of streams that aren't in use (stream.c).
    union cuv_request *requests;
    unsigned idle_requests;
    /// Exists from the first UDP socket on (datagram.c).
    struct cuv_batch *batch;
};

static inline cuv_loop *cuv_loop_of(const uv_loop_t *loop) { return (cuv_loop *)loop->data; }

/// Only the loop's thread writes, so nothing is lost between load and store.
static inline void cuv_count(uint64_t *count, uint64_t amount) {
    __atomic_store_n(count, *count + amount, __ATOMIC_RELAXED);
}

static const uint64_t NO_TURN = UINT64_MAX;

void cuv_turns_note_long(cuv_turns *turns, uint64_t began, uint64_t taken);

/// `uv_now` without a call, since it is read twice per turn. libuv's structures don't change within 1.x.
static inline uint64_t cuv_turn_now(const cuv_loop *loop) { return loop->uv.time; }

/// Every callback of libuv calls this first. It reads no clock: libuv did after it had waited.
static inline void cuv_turn_begins(cuv_loop *loop) { loop->began = cuv_turn_now(loop); }

/// Called before the loop waits, after libuv has read the clock at the end of the callbacks.
static inline void cuv_turn_ends(cuv_loop *loop) {
    uint64_t began = loop->began, taken = cuv_turn_now(loop) - began;
    loop->began = NO_TURN;
    // If there were no callbacks, this is a large number.
    if (taken != 0) return cuv_turns_note_long(loop->turns, began, taken);
    cuv_count(&loop->turns->counts[0], 1);
}

/// The most connections of one socket that wait to be accepted; net.core.somaxconn limits it too.
enum { CUV_BACKLOG = 4096 };

/// Detects a peer that has vanished. Accepted connections inherit it.
int cuv_keepalive(int descriptor);

/// Bytes that may wait in the kernel to be sent: twice the size of the largest write. With less, part of a write would
/// be refused, which costs a tenth more (Performance.md).
enum { CUV_UNSENT = 512 << 10 };

/// Sets that limit. Accepted connections inherit it.
int cuv_bound_unsent(int descriptor);

/// Opens a TCP socket with these options. Returns it, or libuv's error code.
int cuv_egress_open(bool is_ipv6, const cuv_egress *egress);

/// Whether there is a source address on the way to the target. Checked by a UDP socket, so that nothing is sent.
bool cuv_egress_reaches(const cuv_address *target, const cuv_egress *egress);

/// Lets the socket be bound to an address that no interface has. -1 and `errno` if that isn't permitted.
int cuv_bind_freely(int descriptor, bool is_ipv6);

/// Sets the mark, the device and whether any source may be bound to, but not the source address. -1 and `errno` if that
/// isn't permitted.
int cuv_egress_route(int descriptor, const cuv_egress *egress);

/// Frees the requests that the loop keeps.
void cuv_requests_free(cuv_loop *loop);

int cuv_tcp_descriptor(const cuv_tcp *tcp);

void cuv_address_from(cuv_address *address, const struct sockaddr *from);
socklen_t cuv_address_to(const cuv_address *address, struct sockaddr_storage *to);

#endif
