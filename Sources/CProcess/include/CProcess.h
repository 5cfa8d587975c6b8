/// Calls of Linux and glibc that Swift's Glibc module doesn't show. Any thread.
#ifndef CPROCESS_H
#define CPROCESS_H

#include <stddef.h>
#include <stdint.h>

/// Opens a pipe, both ends close-on-exec and non-blocking. It has room for `capacity` bytes, or the system's default
/// if the system doesn't permit that. Returns -1 and sets `errno` if no pipe can be opened.
int process_pipe(int *read_end, int *write_end, size_t capacity);

/// Limits the number of arenas that glibc keeps (mallopt(3)). Call it before there are several threads.
void process_limit_arenas(int count);

/// The commit, a line's end, and the version of the compiler; either may be empty. Empty altogether if scripts/stamp
/// hasn't written it. Valid for ever.
const char *process_build_stamp(void);

/// Returns memory that is free in the process to the system (malloc_trim(3)).
void process_trim(void);

/// The lines and columns of a terminal (TIOCGWINSZ). Returns -1 and sets `errno` if the descriptor is no terminal.
int process_terminal_size(int descriptor, uint16_t *rows, uint16_t *columns);

/// Reads bytes of a unix socket, and the descriptors that came beside them (SCM_RIGHTS). The descriptors are
/// close-on-exec and belong to the caller. At most `room` of them are delivered: the kernel closes the others. Returns
/// -1 and sets `errno` if reading fails.
long process_receive(int socket, void *bytes, size_t size, int *descriptors, size_t room, size_t *count);

#endif
