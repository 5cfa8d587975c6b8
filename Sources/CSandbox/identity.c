#define _GNU_SOURCE
#include "CSandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int sandbox_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

static int set_capabilities(uint64_t wanted) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        sets[i].effective = sets[i].permitted = (uint32_t)(wanted >> (32 * i));
    return (int)syscall(SYS_capset, &header, sets);
}

bool sandbox_is(uid_t user, gid_t group) {
    uid_t users[3];
    gid_t groups[3];
    if (getresuid(&users[0], &users[1], &users[2]) < 0) return false;
    if (getresgid(&groups[0], &groups[1], &groups[2]) < 0) return false;
    for (int i = 0; i < 3; i++)
        if (users[i] != user || groups[i] != group) return false;
    return true;
}

int sandbox_become(
    uid_t user, gid_t group, const gid_t *groups, size_t count, uint64_t capabilities, const char **step
) {
    // Without PR_SET_KEEPCAPS the capabilities are lost together with the last user ID that is root's.
    *step = "prctl";
    if (capabilities != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return -1;
    *step = "setgroups";
    if (setgroups(count, groups) < 0) return -1;
    *step = "setgid";
    if (setresgid(group, group, group) < 0) return -1;
    *step = "setuid";
    if (setresuid(user, user, user) < 0) return -1;
    *step = "capset";
    if (set_capabilities(capabilities) < 0) return -1;
    *step = "a check that the way back is closed";
    if (sandbox_is(user, group) && setresuid((uid_t)-1, 0, (uid_t)-1) < 0 && setgroups(0, NULL) < 0) return 0;
    errno = EPERM;
    return -1;
}
