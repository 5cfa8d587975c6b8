/// Namespaces of the kernel (namespaces(7)): calls of Linux that Swift's Glibc module doesn't show.
#ifndef CNAMESPACE_H
#define CNAMESPACE_H

/// Gives the process a network of its own, in which only `lo` is there and up, and mounts that nobody else sees.
/// Returns 0, or -1 with `errno`.
int namespace_enter(void);

/// Puts a file in the place of another. Returns 0, or -1 with `errno`.
int namespace_replace(const char *path, const char *replacement);

#endif
