#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/// Binds without a port: the kernel chooses one at connect(2), when it knows the target. So one source address has all
/// ports for each target, rather than for all targets together (ip(7)).
static int bind_address(int descriptor, const cuv_address *source) {
    const int on = 1;
    struct sockaddr_storage storage;
    socklen_t length = cuv_address_to(source, &storage);
    if (setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0) return -1;
    return bind(descriptor, (struct sockaddr *)&storage, length);
}

int cuv_bind_freely(int descriptor, bool is_ipv6) {
    const int on = 1;
    return is_ipv6 ? setsockopt(descriptor, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on)
                   : setsockopt(descriptor, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
}

int cuv_egress_route(int descriptor, const cuv_egress *egress) {
    if (egress->mark != 0 &&
        setsockopt(descriptor, SOL_SOCKET, SO_MARK, &egress->mark, sizeof egress->mark) < 0)
        return -1;
    if (egress->device != NULL &&
        setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, egress->device, strlen(egress->device)) < 0)
        return -1;
    if (egress->binds_freely && egress->source != NULL)
        return cuv_bind_freely(descriptor, egress->source->is_ipv6);
    return 0;
}

static int apply(int descriptor, bool is_ipv6, const cuv_egress *egress) {
    if (cuv_egress_route(descriptor, egress) < 0) return -1;
    if (egress->source != NULL && egress->source->is_ipv6 == is_ipv6)
        return bind_address(descriptor, egress->source);
    return 0;
}

int cuv_egress_open(bool is_ipv6, const cuv_egress *egress) {
    int family = is_ipv6 ? AF_INET6 : AF_INET;
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (apply(descriptor, is_ipv6, egress) < 0) {
        int error = -errno;
        close(descriptor);
        return error;
    }
    return descriptor;
}

int cuv_egress_probe(bool is_ipv6, const cuv_egress *egress) {
    int descriptor = cuv_egress_open(is_ipv6, egress);
    if (descriptor < 0) return descriptor;
    close(descriptor);
    return 0;
}

bool cuv_egress_reaches(const cuv_address *target, const cuv_egress *egress) {
    int descriptor = socket(target->is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return false;
    struct sockaddr_storage storage;
    socklen_t length = cuv_address_to(target, &storage);
    bool reaches = apply(descriptor, target->is_ipv6, egress) == 0 &&
                   connect(descriptor, (struct sockaddr *)&storage, length) == 0;
    close(descriptor);
    return reaches;
}
