#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/// A process holds the lock only for a few system calls. A longer wait has a different cause.
enum { LOCK_ATTEMPTS = 200, LOCK_PAUSE_NANOSECONDS = 10 * 1000 * 1000, NO_LOCK = -1 };

/// Locks the folder of a socket, so that starting processes take turns. Between bind(2) and listen(2) a socket looks
/// like one that a dead process has left, and a dead one may be replaced a moment after it was examined.
///
/// A folder that can't be locked, for example because it can't be read, is used without a lock.
///
/// @return the descriptor of the lock, which the caller closes to unlock; `NO_LOCK` if there is no lock; `UV_ETIMEDOUT`
/// if another process keeps it.
static int lock_folder(const char *path) {
    char folder[sizeof ((struct sockaddr_un *)0)->sun_path] = ".";
    const char *slash = strrchr(path, '/');
    // Includes the slash, which matters for "/".
    if (slash != NULL) *(char *)mempcpy(folder, path, (size_t)(slash - path) + 1) = '\0';
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) return NO_LOCK;
    for (int attempt = 0; flock(lock, LOCK_EX | LOCK_NB) < 0; attempt++) {
        bool is_held = errno == EWOULDBLOCK;
        if (is_held && attempt < LOCK_ATTEMPTS) {
            nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NANOSECONDS}, NULL);
            continue;
        }
        close(lock);
        return is_held ? UV_ETIMEDOUT : NO_LOCK;
    }
    return lock;
}

static void unlock_folder(int lock) {
    if (lock >= 0) close(lock);
}

/// Whether a process listens on the socket.
static bool is_alive(const struct sockaddr_un *address) {
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // Better not to start than to take over the socket of another process.
    if (probe < 0) return true;
    int result = connect(probe, (const struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
    close(probe);
    return result != ECONNREFUSED && result != ENOENT;
}

/// Binds, and replaces a socket on which no process listens.
static int bind_anew(int descriptor, const struct sockaddr_un *address) {
    const struct sockaddr *plain = (const struct sockaddr *)address;
    if (bind(descriptor, plain, sizeof *address) == 0) return 0;
    if (errno != EADDRINUSE) return -errno;
    struct stat facts;
    if (lstat(address->sun_path, &facts) < 0) return -errno;
    if (!S_ISSOCK(facts.st_mode)) return UV_EEXIST;
    if (is_alive(address)) return UV_EADDRINUSE;
    if (unlink(address->sun_path) < 0 && errno != ENOENT) return -errno;
    return bind(descriptor, plain, sizeof *address) < 0 ? -errno : 0;
}

/// Sets the mode bits of a socket's file that the umask has removed; the umask belongs to all threads. Follows no link.
static int complete_mode(const char *path, uint32_t mode, struct stat *facts) {
    if (lstat(path, facts) < 0) return -errno;
    if ((facts->st_mode & 07777) == mode) return 0;
    return fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int cuv_listen_unix(const char *path, uint32_t mode, int *out, cuv_file_identity *identity) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return UV_ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int lock = lock_folder(path);
    int error = lock == UV_ETIMEDOUT ? lock : 0;
    // Linux creates the file with the mode of the socket, minus the bits of the umask.
    if (error == 0 && fchmod(descriptor, mode) < 0) error = -errno;
    if (error == 0) error = bind_anew(descriptor, &address);
    struct stat facts;
    if (error == 0) error = complete_mode(path, mode, &facts);
    if (error == 0 && listen(descriptor, CUV_BACKLOG) < 0) error = -errno;
    unlock_folder(lock);
    if (error < 0) {
        close(descriptor);
        return error;
    }
    *identity = (cuv_file_identity){.device = facts.st_dev, .number = facts.st_ino};
    *out = descriptor;
    return 0;
}

void cuv_unlink_unix(const char *path, cuv_file_identity identity) {
    struct stat facts;
    if (lstat(path, &facts) == 0 && facts.st_dev == identity.device && facts.st_ino == identity.number)
        unlink(path);
}

int cuv_peer_user(int descriptor, uint32_t *user) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -errno;
    *user = peer.uid;
    return 0;
}

int cuv_file_identify(const char *path, cuv_file_identity *identity) {
    struct stat facts;
    if (lstat(path, &facts) < 0) return -errno;
    *identity = (cuv_file_identity){.device = facts.st_dev, .number = facts.st_ino};
    return 0;
}

int cuv_unix_path(int descriptor, char *path, size_t capacity) {
    struct sockaddr_un address = {0};
    socklen_t length = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0) return -errno;
    // A name that begins with NUL is abstract (unix(7)): it has no file.
    if (address.sun_family != AF_UNIX || address.sun_path[0] == '\0') return UV_ENOENT;
    // A path may fill the whole array, without a NUL.
    size_t count = strnlen(address.sun_path, sizeof address.sun_path);
    if (count >= capacity) return UV_ENAMETOOLONG;
    *(char *)mempcpy(path, address.sun_path, count) = '\0';
    return 0;
}

ssize_t cuv_tcp_pass(cuv_tcp *tcp, const int *descriptors, size_t count, const void *bytes) {
    ssize_t sent = 0;
    while (count > 0) {
        size_t share = count < CUV_DESCRIPTORS_A_BYTE ? count : CUV_DESCRIPTORS_A_BYTE;
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(CUV_DESCRIPTORS_A_BYTE * sizeof(int))];
        } control = {0};
        struct iovec byte = {.iov_base = (char *)bytes + sent, .iov_len = 1};
        struct msghdr message = {
            .msg_iov = &byte,
            .msg_iovlen = 1,
            .msg_control = control.room,
            .msg_controllen = CMSG_SPACE(share * sizeof(int)),
        };
        struct cmsghdr *first = CMSG_FIRSTHDR(&message);
        *first = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(share * sizeof(int))};
        memcpy(CMSG_DATA(first), descriptors, share * sizeof(int));
        if (sendmsg(cuv_tcp_descriptor(tcp), &message, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) return -errno;
        descriptors += share;
        count -= share;
        sent++;
    }
    return sent;
}
