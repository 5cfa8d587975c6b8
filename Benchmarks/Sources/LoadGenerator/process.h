/// The processor time of a server.
#ifndef PROCESS_H
#define PROCESS_H

#include <sys/types.h>

/// Seconds of user and system time that a process and its descendants have used so far, with that of children
/// which are gone. It is read here, and not by who started us, so that it is of the same moment as the bytes.
double process_tree_seconds(pid_t root);

#endif
