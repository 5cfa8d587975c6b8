#define _GNU_SOURCE
#include "CTestSupport.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

int test_accept(int descriptor) { return accept4(descriptor, NULL, NULL, SOCK_CLOEXEC); }

int test_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
