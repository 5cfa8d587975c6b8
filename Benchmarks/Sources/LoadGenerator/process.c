#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_PROCESSES = 16384,
    /// No pid is greater (PID_MAX_LIMIT of the kernel).
    MOST_PIDS = 4194304,
};

struct process {
    pid_t pid;
    pid_t parent;
    /// Seconds of children that it has waited for.
    double reaped;
};

/// By pid: whether a process belongs to the tree.
static bool is_ours[MOST_PIDS + 1];

/// Reads /proc/PID/stat (proc(5)).
static bool look_up(pid_t pid, struct process *process) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return false;
    text[length] = 0;
    // The name in parentheses may have spaces and parentheses of its own.
    const char *behind_name = strrchr(text, ')');
    int parent;
    long user, system;
    if (behind_name == NULL ||
        sscanf(behind_name + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %ld %ld", &parent,
            &user, &system) != 3)
        return false;
    process->pid = pid;
    process->parent = parent;
    process->reaped = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

static size_t look_around(struct process *processes) {
    size_t count = 0;
    DIR *folder = opendir("/proc");
    if (folder == NULL) return 0;
    for (struct dirent *entry; count < MOST_PROCESSES && (entry = readdir(folder)) != NULL;) {
        if (isdigit((unsigned char)entry->d_name[0]) && look_up(atoi(entry->d_name), &processes[count])) count++;
    }
    closedir(folder);
    return count;
}

/// To the nanosecond, with threads that have ended; /proc counts in hundredths of a second.
static double own_seconds(pid_t pid) {
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

double process_tree_seconds(pid_t root) {
    static struct process processes[MOST_PROCESSES];
    size_t count = look_around(processes);
    if (root < 0 || root > MOST_PIDS) return 0;
    is_ours[root] = true;
    // A child may stand before its parent: until no more are found.
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < count; i++) {
            if (is_ours[processes[i].pid] || !is_ours[processes[i].parent]) continue;
            is_ours[processes[i].pid] = found = true;
        }
    }
    double seconds = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_ours[processes[i].pid]) continue;
        seconds += own_seconds(processes[i].pid) + processes[i].reaped;
        is_ours[processes[i].pid] = false;
    }
    return seconds;
}
