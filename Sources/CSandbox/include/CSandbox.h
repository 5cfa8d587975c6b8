/// What a process gives up for good: the rights of its user, of its system calls and of its files.
///
/// Linux keeps all of that per thread, and new threads inherit it. So each call belongs into a process that has one
/// thread still. They return -1 and set `errno` where the system refuses.
#ifndef CSANDBOX_H
#define CSANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Lets no program that this process starts gain rights, as by a set-user-ID bit (PR_SET_NO_NEW_PRIVS).
int sandbox_no_new_privileges(void);

/// Whether the process has this user and this group, and no other to go back to.
bool sandbox_is(uid_t user, gid_t group);

/// Becomes another user with `count` further groups, keeps the capabilities of the set `capabilities` alone (a bit each,
/// as in capabilities(7)), and checks that the way back is closed. `*step` is the call that has failed.
int sandbox_become(
    uid_t user, gid_t group, const gid_t *groups, size_t count, uint64_t capabilities, const char **step
);

/// The version of Landlock (landlock(7)) that the kernel has; 0: none.
int sandbox_landlock_version(void);

/// What the program does with a file, or with all files below a folder.
enum {
    SANDBOX_READ = 1,
    /// Writing, and making new files.
    SANDBOX_WRITE = 2,
    /// Cutting files off, removing and renaming them.
    SANDBOX_REPLACE = 4,
    /// Making sockets, and removing them.
    SANDBOX_SOCKET = 8,
};

typedef struct {
    const char *path;
    uint32_t uses;
} sandbox_path;

/// Lets files be used in these ways alone from now on, and none be executed. A path that doesn't exist is left out. For a
/// process that can't gain rights, on a kernel that has Landlock.
int sandbox_restrict_files(const sandbox_path *paths, size_t count);

/// Lets the process make those system calls alone that the program needs: all others fail with `EPERM`, or `ENOSYS` where
/// glibc knows another way. For a process that can't gain rights.
///
/// `only_logs`: they are carried out, and the kernel's log has a line of each.
int sandbox_filter_calls(bool only_logs);

#endif
