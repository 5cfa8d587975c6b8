#define _GNU_SOURCE
#include "CProcess.h"

#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int process_pipe(int *read_end, int *write_end, size_t capacity) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -1;
    fcntl(ends[1], F_SETPIPE_SZ, (int)capacity);
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

/// In a section of its own, so that scripts/stamp finds it in the executable.
__attribute__((section("socks5d_build"), used)) static const char build_stamp[128] = "";

const char *process_build_stamp(void) { return build_stamp; }

void process_trim(void) { malloc_trim(0); }

void process_limit_arenas(int count) {
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, count);
#else
    (void)count;
#endif
}

int process_terminal_size(int descriptor, uint16_t *rows, uint16_t *columns) {
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) < 0) return -1;
    *rows = size.ws_row;
    *columns = size.ws_col;
    return 0;
}

long process_receive(int socket, void *bytes, size_t size, int *descriptors, size_t room, size_t *count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(256 * sizeof(int))];
    } control;
    struct iovec place = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    *count = 0;
    ssize_t result = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (result < 0) return -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t there = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < there; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (*count < room) {
                descriptors[(*count)++] = descriptor;
            } else {
                close(descriptor);
            }
        }
    }
    return result;
}
