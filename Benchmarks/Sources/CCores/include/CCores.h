/// Which cores the calling thread may run on: calls of Linux that Swift's Glibc module doesn't show.
#ifndef CCORES_H
#define CCORES_H

/// Puts their numbers, lowest first and at most `room`, into `cores`. Returns how many, or -1.
int cores_allowed(int *cores, int room);

int cores_allow(const int *cores, int count);

#endif
