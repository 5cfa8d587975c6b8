#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t read_be64(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

static void write_be64(uint64_t value, uint8_t *bytes) {
    for (int i = 7; i >= 0; i--, value >>= 8) bytes[i] = (uint8_t)value;
}

void cuv_address_from(cuv_address *address, const struct sockaddr *from) {
    memset(address, 0, sizeof *address);
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        address->port = ntohs(in6->sin6_port);
        address->low = read_be64(in6->sin6_addr.s6_addr + 8);
        // An IPv4 client of an IPv6 socket (RFC 4291 section 2.5.5.2). From here on it counts as IPv4.
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            address->low &= UINT32_MAX;
            return;
        }
        address->is_ipv6 = true;
        address->high = read_be64(in6->sin6_addr.s6_addr);
        address->scope = in6->sin6_scope_id;
    } else if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        address->low = ntohl(in->sin_addr.s_addr);
        address->port = ntohs(in->sin_port);
    }
}

socklen_t cuv_address_to(const cuv_address *address, struct sockaddr_storage *to) {
    memset(to, 0, sizeof *to);
    if (address->is_ipv6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(address->port);
        in6->sin6_scope_id = address->scope;
        write_be64(address->high, in6->sin6_addr.s6_addr);
        write_be64(address->low, in6->sin6_addr.s6_addr + 8);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    in->sin_family = AF_INET;
    in->sin_port = htons(address->port);
    in->sin_addr.s_addr = htonl((uint32_t)address->low);
    return sizeof *in;
}

int cuv_address_parse(const char *text, cuv_address *address) {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } parsed;
    int error = uv_ip4_addr(text, 0, &parsed.in);
    if (error < 0) error = uv_ip6_addr(text, 0, &parsed.in6);
    if (error == 0) cuv_address_from(address, &parsed.any);
    return error;
}

int cuv_address_text(const cuv_address *address, char *buffer, size_t size) {
    struct sockaddr_storage storage;
    cuv_address_to(address, &storage);
    return address->is_ipv6 ? uv_ip6_name((const struct sockaddr_in6 *)&storage, buffer, size)
                            : uv_ip4_name((const struct sockaddr_in *)&storage, buffer, size);
}

int cuv_local_address_towards(const cuv_address *target, cuv_address *local) {
    int descriptor = socket(target->is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    struct sockaddr_storage storage;
    cuv_address any_port = *target;
    // Port 0 can't be a target, not even for a socket that sends nothing.
    any_port.port = 9;
    socklen_t length = cuv_address_to(&any_port, &storage);
    int error = 0;
    if (connect(descriptor, (struct sockaddr *)&storage, length) < 0) error = -errno;
    length = sizeof storage;
    if (error == 0 && getsockname(descriptor, (struct sockaddr *)&storage, &length) < 0) error = -errno;
    close(descriptor);
    if (error < 0) return error;
    cuv_address_from(local, (struct sockaddr *)&storage);
    local->port = 0;
    return 0;
}

int cuv_address_is_own(const cuv_address *address) {
    int descriptor = socket(address->is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return 1;
    struct sockaddr_storage storage;
    cuv_address any_port = *address;
    any_port.port = 0;
    socklen_t length = cuv_address_to(&any_port, &storage);
    int error = bind(descriptor, (struct sockaddr *)&storage, length) < 0 ? errno : 0;
    close(descriptor);
    return error != EADDRNOTAVAIL;
}

const char *cuv_version(void) { return uv_version_string(); }

void cuv_error_name(int error, char *buffer, size_t size) { uv_err_name_r(error, buffer, size); }

_Static_assert(CUV_EOF == UV_EOF, "libuv's numbers are part of its ABI");
_Static_assert(CUV_EAI_ADDRFAMILY == UV_EAI_ADDRFAMILY && CUV_EAI_AGAIN == UV_EAI_AGAIN, "");
_Static_assert(CUV_EAI_FAIL == UV_EAI_FAIL && CUV_EAI_FAMILY == UV_EAI_FAMILY, "");
_Static_assert(CUV_EAI_MEMORY == UV_EAI_MEMORY && CUV_EAI_NODATA == UV_EAI_NODATA, "");
_Static_assert(CUV_EAI_NONAME == UV_EAI_NONAME, "");
