/// Namespaces of the kernel (namespaces(7)): calls of Linux that Swift's Glibc module doesn't show.
#ifndef CNAMESPACE_H
#define CNAMESPACE_H

/// Gives the process a network of its own, in which only `lo` is there and up. Returns 0, or -1 with `errno`.
int namespace_enter(void);

#endif
