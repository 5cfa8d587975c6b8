/// libFuzzer's entry for programs with a main of their own (LLVM's "Using libFuzzer as a library"). It has no
/// header of its own.
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *count, char ***arguments, int (*callback)(const uint8_t *data, size_t size));
