#define _GNU_SOURCE
#include "CSandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { ROOM = 1024, FIRST_RECENT_CALL = 424 };

typedef struct {
    struct sock_filter code[ROOM];
    unsigned short count;
} program;

static void emit(program *program, uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
    if (program->count < ROOM) program->code[program->count] = (struct sock_filter){code, if_true, if_false, value};
    program->count += 1;
}

static void answer(program *program, uint32_t action) { emit(program, BPF_RET | BPF_K, action, 0, 0); }

static void load(program *program, uint32_t offset) { emit(program, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }

/// Answers a call regardless of its arguments.
static void answer_to(program *program, uint32_t call, uint32_t action) {
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
    answer(program, action);
}

/// Holds if the lower 32 bits of an argument, masked by `mask`, equal one of `values`. Both architectures are little-endian.
typedef struct {
    uint8_t index;
    uint8_t count;
    uint32_t mask;
    uint32_t values[10];
} condition;

enum { ALL = 0xffffffff };

/// Allows a call if at most two conditions hold. Loads the call's number again for the code that follows.
static void allow_if(program *program, uint32_t call, const condition *conditions, int count) {
    unsigned length = 2;
    for (int i = 0; i < count; i++) length += 2 + conditions[i].count + 1;
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, call, 0, (uint8_t)length);
    unsigned end = program->count + length;
    for (int i = 0; i < count; i++) {
        const condition *condition = &conditions[i];
        load(program, (uint32_t)(offsetof(struct seccomp_data, args) + condition->index * sizeof(uint64_t)));
        emit(program, BPF_ALU | BPF_AND | BPF_K, condition->mask, 0, 0);
        for (int value = 0; value < condition->count; value++)
            emit(program, BPF_JMP | BPF_JEQ | BPF_K, condition->values[value], (uint8_t)(condition->count - value), 0);
        emit(program, BPF_JMP | BPF_JA, end - 1 - (program->count + 1), 0, 0);
    }
    answer(program, SECCOMP_RET_ALLOW);
    load(program, offsetof(struct seccomp_data, nr));
}

/// Calls that the program needs, but that can also do something it never does: open other kinds of sockets, start
/// processes, or signal other processes.
static void allow_in_part(program *program) {
    uint32_t pid = (uint32_t)getpid();
    const condition own_process[] = {{0, 1, ALL, {pid}}};
    const condition own_limits[] = {{0, 2, ALL, {0, pid}}};
    const condition internet[] = {
        {0, 3, ALL, {AF_INET, AF_INET6, AF_UNIX}},
        {1, 2, ~(uint32_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), {SOCK_STREAM, SOCK_DGRAM}},
    };
    // glibc asks this socket for the machine's addresses (NETLINK_ROUTE).
    const condition routes[] = {{0, 1, ALL, {AF_NETLINK}}, {2, 1, ALL, {0}}};
    // FIOCLEX, FIONBIO, FIONREAD, SIOCOUTQ, SIOCOUTQNSD, TCGETS, TIOCGWINSZ, TCGETS2; SIOCGIFNAME and SIOCGIFINDEX for
    // the zone of a link-local address.
    const condition requests[] = {
        {1, 10, ALL, {0x5451, 0x5421, 0x541b, 0x5411, 0x894b, 0x5401, 0x5413, 0x802c542a, 0x8910, 0x8933}}};
    const condition threads[] = {{0, 1, CLONE_THREAD, {CLONE_THREAD}}};
    // 0x53564d41 is PR_SET_VMA: malloc(3) names its memory.
    const condition options[] = {{0, 5, ALL, {PR_SET_NAME, PR_GET_NAME, 0x53564d41, PR_GET_DUMPABLE, PR_CAPBSET_READ}}};
    allow_if(program, __NR_ioctl, requests, 1);
    allow_if(program, __NR_socket, internet, 2);
    allow_if(program, __NR_socket, routes, 2);
    allow_if(program, __NR_clone, threads, 1);
    allow_if(program, __NR_prctl, options, 1);
    allow_if(program, __NR_tgkill, own_process, 1);
    allow_if(program, __NR_kill, own_process, 1);
    allow_if(program, __NR_prlimit64, own_limits, 1);
}

/// - Parameter refusal: the answer to a call that the program doesn't make.
/// - Parameter lack: the answer to a call that glibc can do without if the kernel lacks it.
static void build(program *program, uint32_t refusal, uint32_t lack) {
    load(program, offsetof(struct seccomp_data, arch));
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    answer(program, refusal);
    load(program, offsetof(struct seccomp_data, nr));
#define CALL(name) answer_to(program, __NR_##name, SECCOMP_RET_ALLOW);
#include "calls.h"
#undef CALL
    allow_in_part(program);
    // Its flags are in memory, which a filter can't read.
    answer_to(program, __NR_clone3, lack);
    // Calls of Linux 5.1 and later: glibc can do without them. The numbers of x32 are far above and fall into this
    // range too.
    emit(program, BPF_JMP | BPF_JGE | BPF_K, FIRST_RECENT_CALL, 0, 1);
    answer(program, lack);
    answer(program, refusal);
}

int sandbox_filter_calls(bool only_logs) {
    program program = {.count = 0};
    uint32_t log = SECCOMP_RET_LOG;
    build(
        &program, only_logs ? log : SECCOMP_RET_ERRNO | EPERM, only_logs ? log : SECCOMP_RET_ERRNO | ENOSYS
    );
    if (program.count > ROOM) {
        errno = E2BIG;
        return -1;
    }
    struct sock_fprog filter = {.len = program.count, .filter = program.code};
    return (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}
