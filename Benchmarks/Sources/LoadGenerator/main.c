/// LoadGenerator: opens connections to a target, straight or through a SOCKS5 proxy, and works them for some
/// seconds, one thread on epoll. See `usage`; the target is CEcho.
#define _GNU_SOURCE
#include "load.h"
#include "process.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, OPENING_AT_ONCE = 64, SECONDS_TO_OPEN = 10, SECONDS_TO_FINISH = 60, MILLISECONDS_TO_LOOK = 50 };
/// Bytes that echoes have under way at the most, each of them and all.
enum { LARGEST_WINDOW = 1 << 20, UNDER_WAY = 256 << 20 };

static const char usage[] =
    "usage: LoadGenerator --target ADDR:PORT [--proxy ADDR:PORT] [--user NAME:PASSWORD] --mode MODE\n"
    "                     [--connections N] [--seconds S] [--warm-up S] [--window BYTES] [--bulk N]\n"
    "                     [--server PID]\n"
    "\n"
    "  download, upload, echo   keep N connections busy\n"
    "  cycle                    connect, handshake, a byte there and one back, close; N at a time\n"
    "  pingpong                 64 bytes there and back on N connections; --bulk N: beside N downloads\n"
    "  idle                     N connections that do nothing: prints 'fresh', waits for a line, gets\n"
    "                           100 KiB on each, prints 'used', waits for a line\n"
    "  datagrams                512 bytes there and back over UDP, 16 under way on each of N associations\n"
    "  stalled                  N downloads that nobody reads: prints 'fresh', waits for a line, prints 'used',\n"
    "                           waits for a line\n"
    "  beside-stalled           a download beside N that nobody reads\n"
    "  names                    N requests at once, through a proxy, each for a name of its own that has to be\n"
    "                           the target's; until all are answered\n"
    "  verify                   16 MiB on each of N connections, every byte checked\n"
    "  verify-datagrams         2,000 of all lengths on each of N associations, every byte checked\n"
    "\n"
    "Prints 'begin' behind the warm-up, a line 'second ...' a second, and at last 'end ...': bytes moved\n"
    "(of an echo: both ways; of an upload: what the target got), units (cycles, round trips, or datagrams\n"
    "each way), errors, lost datagrams, and the percentiles of the times of units (of datagrams: there and\n"
    "back) in nanoseconds; with --server, the seconds of processor time that the process and its\n"
    "descendants have used. 'problem ...' is the first error.\n";

struct load load;

static struct {
    const char *mode;
    const struct role *role;
    size_t bulk;
    /// 0: none.
    pid_t server;
    double seconds;
    double warm_up;
    /// A connection of its own to the target, for WIRE_TOTAL.
    int total;
} run = {.seconds = 2, .warm_up = -1, .total = -1};

// MARK: - Connections

/// Only so many are opening at a time; but cycles are that nearly all their life, of them so many more a turn.
static void start_some(void) {
    bool cycles = run.role == &role_cycle;
    for (size_t i = 0; i < OPENING_AT_ONCE && load.next < load.count; i++) {
        if (cycles || load.opening < OPENING_AT_ONCE) connection_start(&load.connections[load.next++]);
    }
}

static void turn(int milliseconds) {
    struct epoll_event events[EVENTS];
    bool associates = run.role->associates;
    if (associates && milliseconds > MILLISECONDS_TO_LOOK) milliseconds = MILLISECONDS_TO_LOOK;
    int ready = epoll_wait(load.epoll, events, EVENTS, milliseconds);
    for (int i = 0; i < ready; i++) {
        struct connection *connection = events[i].data.ptr;
        connection_ready(connection, events[i].events);
        if (connection->role == &role_cycle && connection->stage == STAGE_CLOSED) connection_start(connection);
    }
    if (associates && load.begins) datagrams_give_up();
    start_some();
}

static uint64_t after(double seconds) { return wire_now() + (uint64_t)(seconds * 1e9); }

static int milliseconds_until(uint64_t end) {
    uint64_t now = wire_now();
    return now < end ? (int)((end - now) / 1000000 + 1) : 0;
}

/// Names are done once all are answered; nothing else is ever done.
static bool is_done(void) { return run.role->resolves && load.opening == 0; }

static void work_until(uint64_t end) {
    while (wire_now() < end && !is_done()) turn(milliseconds_until(end));
}

static void fail_unopened(const char *format, int seconds) {
    for (size_t i = 0; i < load.next; i++) {
        struct connection *connection = &load.connections[i];
        if (connection->stage < STAGE_OPEN) connection_fail(connection, format, seconds);
    }
}

/// Until every connection is open or has failed; only then they play their roles, since those that are at work
/// would hold the others up. What takes too long has failed.
static void open_all(void) {
    uint64_t end = after(SECONDS_TO_OPEN);
    start_some();
    while ((load.opening > 0 || load.next < load.count) && wire_now() < end) turn(milliseconds_until(end));
    while (load.next < load.count) connection_start(&load.connections[load.next++]);
    fail_unopened("no connection within %d s", SECONDS_TO_OPEN);
    load.begins = true;
    for (size_t i = 0; i < load.count; i++) {
        struct connection *connection = &load.connections[i];
        if (connection->stage == STAGE_OPEN) connection->role->opened(connection);
    }
}

static void begin_cycles(void) {
    load.begins = true;
    while (load.next < load.count) turn(MILLISECONDS_TO_LOOK);
}

static void make_connections(size_t count) {
    load.count = count + run.bulk;
    load.connections = calloc(load.count, sizeof *load.connections);
    if (load.connections == NULL) wire_fail("no memory");
    for (size_t i = 0; i < load.count; i++) {
        struct connection *connection = &load.connections[i];
        connection->role = i < count ? run.role : &role_download;
        // Half of the verified ones download.
        if (connection->role == &role_verify_echo && i % 2 == 1) connection->role = &role_verify_download;
        // Streams that differ show when bytes get into the wrong one; a source begins at 0.
        if (connection->role != &role_verify_download) connection->origin = i * 7919;
    }
}

// MARK: - Runs

static void connect_for_total(void) {
    run.total = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in *target = &load.options.target;
    if (connect(run.total, (const struct sockaddr *)target, sizeof *target) < 0)
        wire_fail("the target: %s", strerror(errno));
}

/// Bytes that have moved to where they were meant to go.
static uint64_t moved(void) {
    if (run.role == &role_echo) return 2 * load.received;
    if (run.role != &role_upload) return load.received;
    uint64_t total = 0;
    const char ask = WIRE_TOTAL;
    if (send(run.total, &ask, 1, MSG_NOSIGNAL) != 1 ||
        recv(run.total, &total, sizeof total, MSG_WAITALL) != sizeof total)
        wire_fail("the target doesn't tell its total");
    return total;
}

static void ask_all(void) {
    for (size_t i = 0; i < load.count; i++) {
        struct connection *connection = &load.connections[i];
        char name[32];
        snprintf(name, sizeof name, "name-%zu.test", i);
        if (connection->stage == STAGE_OPEN) connection_ask(connection, name);
    }
}

static void print_problem(void) {
    if (load.errors > 0) printf("problem %s\n", load.problem);
}

static int measure(void) {
    if (run.role == &role_upload) connect_for_total();
    if (run.role == &role_cycle) begin_cycles(); else open_all();
    if (run.role->resolves) run.seconds = SECONDS_TO_FINISH; else work_until(after(run.warm_up));

    double processor = run.server > 0 ? process_tree_seconds(run.server) : 0;
    uint64_t bytes = moved(), lost = datagrams_lost();
    load.units = 0;
    memset(&load.times, 0, sizeof load.times);
    uint64_t begin = wire_now(), end = begin + (uint64_t)(run.seconds * 1e9);
    printf("begin\n");
    if (run.role->resolves) ask_all();
    for (uint64_t second = begin + 1000000000; second < end && !is_done(); second += 1000000000) {
        work_until(second);
        printf("second bytes=%llu units=%llu errors=%llu\n", (unsigned long long)(moved() - bytes),
            (unsigned long long)load.units, (unsigned long long)load.errors);
    }
    work_until(end);
    bytes = moved() - bytes;
    double seconds = (double)(wire_now() - begin) / 1e9;
    if (run.role->resolves) fail_unopened("no answer within %d s", SECONDS_TO_FINISH);
    if (run.server > 0) processor = process_tree_seconds(run.server) - processor;
    printf("end seconds=%.6f bytes=%llu units=%llu errors=%llu lost=%llu", seconds,
        (unsigned long long)bytes, (unsigned long long)load.units, (unsigned long long)load.errors,
        (unsigned long long)(datagrams_lost() - lost));
    static const struct {
        const char *name;
        double share;
    } percentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        uint64_t time = histogram_at(&load.times, percentiles[i].share);
        printf(" %s=%llu", percentiles[i].name, (unsigned long long)time);
    }
    if (run.server > 0) printf(" processor=%.6f", processor);
    printf("\n");
    print_problem();
    return 0;
}

static int verify(void) {
    uint64_t begin = wire_now(), end = after(SECONDS_TO_FINISH);
    open_all();
    while (load.errors == 0 && load.finished < load.count && wire_now() < end) turn(milliseconds_until(end));
    if (load.errors == 0 && load.finished < load.count) {
        load.errors++;
        snprintf(load.problem, sizeof load.problem, "%zu of %zu connections have stalled",
            load.count - load.finished, load.count);
    }
    printf("end seconds=%.6f bytes=%llu units=%zu errors=%llu\n", (double)(wire_now() - begin) / 1e9,
        (unsigned long long)load.received, load.finished, (unsigned long long)load.errors);
    print_problem();
    return 0;
}

static void wait_for_line(void) {
    int byte;
    do byte = getchar();
    while (byte != '\n' && byte != EOF);
}

/// Every connection gets WIRE_PORTION bytes.
static void use_all(void) {
    const uint8_t ask = WIRE_SOME;
    uint64_t end = after(SECONDS_TO_FINISH);
    for (size_t i = 0; i < load.count; i++) {
        if (load.connections[i].stage == STAGE_OPEN) connection_send(&load.connections[i], &ask, 1);
    }
    while (load.finished < load.open && wire_now() < end) turn(milliseconds_until(end));
}

static int idle(void) {
    open_all();
    printf("fresh units=%zu errors=%llu\n", load.open, (unsigned long long)load.errors);
    print_problem();
    wait_for_line();
    use_all();
    printf("used units=%zu errors=%llu\n", load.finished, (unsigned long long)load.errors);
    print_problem();
    wait_for_line();
    return 0;
}

static int stalled(void) {
    open_all();
    for (int phase = 0; phase < 2; phase++) {
        printf("%s units=%zu errors=%llu\n", phase == 0 ? "fresh" : "used", load.open, (unsigned long long)load.errors);
        print_problem();
        wait_for_line();
    }
    return 0;
}

// MARK: - Options

static const struct {
    const char *name;
    const struct role *role;
    int (*run)(void);
} modes[] = {
    {"download", &role_download, measure}, {"upload", &role_upload, measure}, {"echo", &role_echo, measure},
    {"cycle", &role_cycle, measure},       {"pingpong", &role_pingpong, measure},
    {"idle", &role_idle, idle},            {"stalled", &role_stalled, stalled},
    {"beside-stalled", &role_stalled, measure}, {"verify", &role_verify_echo, verify},
    {"names", &role_names, measure},         {"datagrams", &role_datagrams, measure}, {"verify-datagrams", &role_verify_datagrams, verify},
};

static struct sockaddr_in address(const char *text) {
    struct sockaddr_in address;
    if (wire_parse_address(text, &address) < 0) wire_fail("%s: expected ADDR:PORT", text);
    return address;
}

static void set_user(const char *text) {
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon == text || colon - text > 255 || strlen(colon + 1) > 255)
        wire_fail("--user: expected NAME:PASSWORD");
    memcpy(load.options.name, text, (size_t)(colon - text));
    strcpy(load.options.password, colon + 1);
}

static double number(const char *text, double least) {
    char *rest;
    double value = strtod(text, &rest);
    if (*text == 0 || *rest != 0 || !(value >= least))
        wire_fail("%s: expected a number from %g on", text, least);
    return value;
}

int main(int count, char **arguments) {
    static const struct option options[] = {
        {"target", required_argument, NULL, 't'},      {"proxy", required_argument, NULL, 'p'},
        {"user", required_argument, NULL, 'u'},        {"mode", required_argument, NULL, 'm'},
        {"connections", required_argument, NULL, 'n'}, {"seconds", required_argument, NULL, 's'},
        {"warm-up", required_argument, NULL, 'w'},     {"window", required_argument, NULL, 'b'},
        {"bulk", required_argument, NULL, 'k'},        {"server", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},              {NULL, 0, NULL, 0},
    };
    size_t connections = 1;
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        switch (option) {
        case 't': load.options.target = address(optarg); break;
        case 'p': load.options.proxy = address(optarg); break;
        case 'u': set_user(optarg); break;
        case 'm': run.mode = optarg; break;
        case 'n': connections = (size_t)number(optarg, 1); break;
        case 's': run.seconds = number(optarg, 0.001); break;
        case 'w': run.warm_up = number(optarg, 0); break;
        case 'b': load.options.window = (uint64_t)number(optarg, 2); break;
        case 'k': run.bulk = (size_t)number(optarg, 0); break;
        case 'r': run.server = (pid_t)number(optarg, 1); break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 64;
        }
    }
    int (*chosen)(void) = NULL;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (run.mode == NULL || strcmp(modes[i].name, run.mode) != 0) continue;
        run.role = modes[i].role;
        chosen = modes[i].run;
    }
    if (run.role == &role_stalled && chosen == measure && run.bulk == 0) run.bulk = 1;
    bool needs_proxy = run.role != NULL && run.role->resolves && load.options.proxy.sin_port == 0;
    if (chosen == NULL || needs_proxy || load.options.target.sin_port == 0 || optind < count) {
        fputs(usage, stderr);
        return 64;
    }
    wire_die_with_parent();
    wire_raise_descriptors();
    setvbuf(stdout, NULL, _IOLBF, 0);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    // Many take a while to get going: their buffers grow, and cycles have to fall out of step.
    if (run.warm_up < 0) run.warm_up = 0.25 + 0.0005 * (double)connections;
    // More under way than the kernel has memory for (tcp_mem) would measure how it drops segments.
    uint64_t share = UNDER_WAY / connections;
    if (load.options.window == 0) load.options.window = share < LARGEST_WINDOW ? share : LARGEST_WINDOW;
    make_connections(connections);
    return chosen();
}
