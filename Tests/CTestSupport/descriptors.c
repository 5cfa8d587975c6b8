#define _GNU_SOURCE
#include "CTestSupport.h"

#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int test_accept(int descriptor) { return accept4(descriptor, NULL, NULL, SOCK_CLOEXEC); }

int test_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int test_pipe_shrink(int descriptor) { return fcntl(descriptor, F_SETPIPE_SZ, 4096); }

int test_terminal_open(char *path, int size) {
    int descriptor = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    if (grantpt(descriptor) == 0 && unlockpt(descriptor) == 0 && ptsname_r(descriptor, path, (size_t)size) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

int test_spawn_in(posix_spawn_file_actions_t *actions, const char *folder) {
    return posix_spawn_file_actions_addchdir_np(actions, folder);
}

int test_limit_descriptors(int pid, int count) {
    struct rlimit limit;
    if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) < 0) return -1;
    limit.rlim_cur = (rlim_t)count;
    return prlimit(pid, RLIMIT_NOFILE, &limit, NULL);
}

int test_network_open(const char *path) { return open(path, O_RDONLY | O_CLOEXEC); }

int test_network_enter(int descriptor) { return setns(descriptor, CLONE_NEWNET); }

int test_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    return limit.rlim_cur > 1 << 20 ? 1 << 20 : (int)limit.rlim_cur;
}
