#ifndef CUV_INTERNAL_H
#define CUV_INTERNAL_H

#include "CUV.h"

#include <netinet/in.h>
#include <uv.h>

struct cuv_loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_timer_t timer;
    uv_prepare_t prepare;
    cuv_callbacks callbacks;
    void *owner;
    size_t read_budget;
    /// Counts the turns, so that a stream can tell whether its budget is a new one.
    uint32_t turn;
    /// Of streams, that nobody uses (stream.c).
    union cuv_request *requests;
    unsigned idle_requests;
    /// From the first UDP socket on (datagram.c).
    struct cuv_batch *batch;
};

static inline cuv_loop *cuv_loop_of(const uv_loop_t *loop) { return (cuv_loop *)loop->data; }

/// Finds a peer that vanished. Accepted connections inherit it.
int cuv_keepalive(int descriptor);

/// Bytes that may wait in the kernel to be sent: twice what is given to it at once, which would be refused in part
/// otherwise, and cost a tenth more (Performance.md).
enum { CUV_UNSENT = 512 << 10 };

/// Sets that bound. Accepted connections inherit it.
int cuv_bound_unsent(int descriptor);

/// A TCP socket that leaves as asked, or libuv's error code.
int cuv_egress_open(bool is_ipv6, const cuv_egress *egress);

/// Whether there is an address to come from on the way to the target; by a UDP socket, so that nothing is sent.
bool cuv_egress_reaches(const cuv_address *target, const cuv_egress *egress);

/// Sets the mark and the device, and leaves the source address. -1 and `errno` where that may not be.
int cuv_egress_route(int descriptor, const cuv_egress *egress);

/// Frees the requests that the loop keeps.
void cuv_requests_free(cuv_loop *loop);

int cuv_tcp_descriptor(const cuv_tcp *tcp);

void cuv_address_from(cuv_address *address, const struct sockaddr *from);
socklen_t cuv_address_to(const cuv_address *address, struct sockaddr_storage *to);

#endif
