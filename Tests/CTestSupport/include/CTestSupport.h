/// Calls of Linux that Swift's Glibc module doesn't show: descriptors that no child inherits.
#ifndef CTESTSUPPORT_H
#define CTESTSUPPORT_H

int test_accept(int descriptor);
int test_pipe(int ends[2]);

#endif
