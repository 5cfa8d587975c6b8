/// Gives up rights of a process permanently: the rights of its user, its system calls and its files.
///
/// Linux keeps these rights per thread, and new threads inherit them. So make each call while the process still has
/// only one thread. The calls return -1 and set `errno` if the system refuses.
#ifndef CSANDBOX_H
#define CSANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Keeps every program that this process starts from gaining rights, for example by a set-user-ID bit
/// (PR_SET_NO_NEW_PRIVS).
int sandbox_no_new_privileges(void);

/// Whether the process has exactly this user and this group, and no saved ID that it could return to.
bool sandbox_is(uid_t user, gid_t group);

/// Becomes another user with `count` further groups, keeps only the capabilities of the set `capabilities` (a bit each,
/// as in capabilities(7)), and checks that it can't change back. `*step` names the call that failed.
int sandbox_become(
    uid_t user, gid_t group, const gid_t *groups, size_t count, uint64_t capabilities, const char **step
);

/// The version of Landlock (landlock(7)) that the kernel has; 0: none.
int sandbox_landlock_version(void);

/// How the program uses a file, or all files below a folder.
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

/// From now on files can be used only in these ways, and none can be executed. A path that doesn't exist is left out.
/// Needs a process that can't gain rights, and a kernel that has Landlock.
int sandbox_restrict_files(const sandbox_path *paths, size_t count);

/// Lets the process make only the system calls that the program needs. All others fail with `EPERM`, or with `ENOSYS`
/// if glibc has an alternative. Needs a process that can't gain rights.
///
/// `only_logs`: forbidden calls are carried out, and each adds a line to the kernel's log.
int sandbox_filter_calls(bool only_logs);

#endif
