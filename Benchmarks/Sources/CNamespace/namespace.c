#define _GNU_SOURCE
#include "CNamespace.h"

#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

int namespace_enter(void) {
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -1;
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    struct ifreq request = {.ifr_flags = IFF_UP};
    strcpy(request.ifr_name, "lo");
    int result = ioctl(descriptor, SIOCSIFFLAGS, &request);
    close(descriptor);
    return result;
}

int namespace_replace(const char *path, const char *replacement) {
    return mount(replacement, path, NULL, MS_BIND, NULL);
}
