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

#endif
