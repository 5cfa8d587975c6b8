#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int cuv_pipe_open(size_t capacity, int *read_end, int *write_end) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
    // Denied if the user already has many large pipes (pipe(7)).
    if (fcntl(ends[1], F_SETPIPE_SZ, (int)capacity) < 0) {
        int error = -errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

static ssize_t move(int from, int to, size_t count) {
    ssize_t moved;
    do {
        moved = splice(from, NULL, to, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

ssize_t cuv_tcp_splice_from(cuv_tcp *tcp, int write_end, size_t count) {
    return move(cuv_tcp_descriptor(tcp), write_end, count);
}

ssize_t cuv_tcp_splice_to(cuv_tcp *tcp, int read_end, size_t count) {
    return move(read_end, cuv_tcp_descriptor(tcp), count);
}

ssize_t cuv_pipe_read(int read_end, cuv_buffer room) {
    ssize_t count = read(read_end, room.base, room.length);
    return count < 0 ? -errno : count;
}
