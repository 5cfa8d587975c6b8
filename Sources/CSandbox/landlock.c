#define _GNU_SOURCE
#include "CSandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Defined by hand, since the headers of many distributions are older than the kernel that runs (landlock(7)).
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_TRUNCATE = 1 << 14,
};

enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

struct ruleset_attributes {
    uint64_t handled_access_fs;
};

struct path_beneath {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

int sandbox_landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    return version < 0 ? 0 : (int)version;
}

/// All rights that the kernel can refuse. A right that isn't handled stays allowed everywhere. Renaming into another
/// folder is bit 13, truncating bit 14, ioctl(2) of devices bit 15.
static uint64_t handled_rights(int version) {
    int bits = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;
    return (1ull << bits) - 1;
}

static uint64_t rights_of(uint32_t uses, int is_folder) {
    uint64_t rights = 0;
    if (uses & SANDBOX_READ) rights |= FS_READ_FILE | FS_READ_DIR;
    if (uses & SANDBOX_WRITE) rights |= FS_WRITE_FILE | FS_MAKE_REG;
    if (uses & SANDBOX_REPLACE) rights |= FS_TRUNCATE | FS_REMOVE_FILE;
    if (uses & SANDBOX_SOCKET) rights |= FS_MAKE_SOCK | FS_REMOVE_FILE;
    return is_folder ? rights : rights & (FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE);
}

/// A path that doesn't exist, or that the process can't reach, needs no rule.
static int allow(int ruleset, const sandbox_path *path, uint64_t handled) {
    int descriptor = open(path->path, O_PATH | O_CLOEXEC);
    if (descriptor < 0) return 0;
    struct stat facts;
    int result = fstat(descriptor, &facts);
    if (result == 0) {
        struct path_beneath rule = {
            .allowed_access = rights_of(path->uses, S_ISDIR(facts.st_mode)) & handled,
            .parent_fd = descriptor,
        };
        // Landlock has no rules for pipes and the like, and never refuses them.
        if (rule.allowed_access != 0 && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 &&
            errno != EBADFD)
            result = -1;
    }
    close(descriptor);
    return result;
}

int sandbox_restrict_files(const sandbox_path *paths, size_t count) {
    struct ruleset_attributes attributes = {.handled_access_fs = handled_rights(sandbox_landlock_version())};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (ruleset < 0) return -1;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) result = allow(ruleset, &paths[i], attributes.handled_access_fs);
    if (result == 0) result = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
    int error = errno;
    close(ruleset);
    errno = error;
    return result;
}
