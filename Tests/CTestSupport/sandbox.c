#define _GNU_SOURCE
#include "CSandbox.h"
#include "CTestSupport.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int test_landlock_version(void) { return sandbox_landlock_version(); }

static long try_out(test_attempt attempt, const char *path) {
    char *const arguments[] = {(char *)path, NULL};
    switch (attempt) {
    case TEST_READ: return open(path, O_RDONLY | O_CLOEXEC);
    case TEST_MAKE_FILE: return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    case TEST_EXEC: return execv(path, arguments);
    case TEST_FORK: {
        long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (child == 0) _exit(0);
        return child;
    }
    case TEST_CLONE3: return syscall(SYS_clone3, NULL, 0);
    case TEST_TRACE: return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    case TEST_SIGNAL_SELF: return kill(getpid(), 0);
    case TEST_SIGNAL_PARENT: return kill(getppid(), 0);
    case TEST_TCP_SOCKET: return socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    case TEST_UNIX_SOCKET: return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    case TEST_RAW_SOCKET: return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    case TEST_PACKET_SOCKET: return socket(AF_PACKET, SOCK_DGRAM, 0);
    case TEST_BECOME_ROOT: return syscall(SYS_setuid, 0);
    case TEST_MOUNT: return mount("none", path, "tmpfs", 0, NULL);
    case TEST_TYPE_INTO_TERMINAL: return ioctl(0, TIOCSTI, "x");
    case TEST_IO_URING: return syscall(425, 1, NULL);
    }
    errno = EINVAL;
    return -1;
}

static int confine(test_sandbox sandbox, const char *folder) {
    const sandbox_path paths[] = {{folder, SANDBOX_READ}};
    if (sandbox_no_new_privileges() < 0) return -1;
    if (sandbox == TEST_FILES) return sandbox_restrict_files(paths, 1);
    return sandbox_filter_calls(sandbox == TEST_CALLS_LOGGED);
}

int test_in_sandbox(test_sandbox sandbox, const char *folder, test_attempt attempt, const char *path) {
    // A child of a process with several threads may safely do little more than system calls.
    pid_t child = fork();
    if (child == 0) {
        if (confine(sandbox, folder) < 0) _exit(255);
        _exit(try_out(attempt, path) < 0 ? errno : 0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
