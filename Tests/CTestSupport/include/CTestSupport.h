/// Calls of Linux that Swift's Glibc module doesn't show: descriptors that no child inherits.
#ifndef CTESTSUPPORT_H
#define CTESTSUPPORT_H

#include <spawn.h>
#include <stddef.h>
#include <stdint.h>

int test_accept(int descriptor);
int test_pipe(int ends[2]);

/// Gives a pipe the smallest size there is.
int test_pipe_shrink(int descriptor);

/// Opens a terminal. Returns the end that plays the user, or -1 with errno; `path` receives the file of the other end.
int test_terminal_open(char *path, int size);

/// Lets a child start in another folder.
int test_spawn_in(posix_spawn_file_actions_t *actions, const char *folder);

/// Sets the soft limit of descriptors of another process.
int test_limit_descriptors(int pid, int count);

/// Moves the calling thread into a network namespace, by its file.
int test_network_enter(int descriptor);

/// A descriptor of a network namespace.
int test_network_open(const char *path);

/// Creates an interface in the calling thread's network. Its packets go out and come in by the returned non-blocking
/// descriptor, and it disappears when that is closed. -1 with errno if there is no TUN device.
int test_tun_open(const char *name);

/// Raises the soft limit of descriptors to the hard one. Returns it, at most 2^20.
int test_raise_descriptor_limit(void);

/// Whether the wanted bytes are among the others: 1 or 0.
int test_contains(const void *bytes, size_t count, const void *wanted, size_t wanted_count);

typedef enum {
    TEST_READ,
    TEST_MAKE_FILE,
    TEST_EXEC,
    TEST_FORK,
    TEST_CLONE3,
    TEST_TRACE,
    TEST_SIGNAL_SELF,
    TEST_SIGNAL_PARENT,
    TEST_TCP_SOCKET,
    TEST_UNIX_SOCKET,
    TEST_RAW_SOCKET,
    TEST_PACKET_SOCKET,
    TEST_BECOME_ROOT,
    TEST_MOUNT,
    TEST_TYPE_INTO_TERMINAL,
    TEST_IO_URING,
} test_attempt;

typedef enum { TEST_FILES, TEST_CALLS, TEST_CALLS_LOGGED } test_sandbox;

/// Attempts an action in a sandboxed child: one that restricts files, in which only `folder` may be read, or one that
/// restricts system calls. Returns 0 if the action succeeded, otherwise its errno.
int test_in_sandbox(test_sandbox sandbox, const char *folder, test_attempt attempt, const char *path);

/// The kernel's version of Landlock; 0 if there is none.
int test_landlock_version(void);

/// Masks bytes by their position in a stream, and unmasks them again.
void test_xor(void *to, const void *from, size_t count, uint64_t position);

#endif
