# Compilers and flags of the emulated device and of kernels built for it. A variant is a way to build both: checked (every
# load and store of a kernel goes through hooks.cpp), fast (no checks of single accesses), asan (AddressSanitizer and
# UndefinedBehaviorSanitizer), tsan (ThreadSanitizer; only kernels and tests are instrumented).
ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
EMULATOR := $(ROOT)/tests/emulator
KERNELS := $(ROOT)/cuda-kernels

CXX ?= g++
COMMON_FLAGS := -std=c++20 -O2 -g1 -march=native -ffp-contract=off -fno-strict-aliasing -fPIC -pthread -MMD -MP \
    -Wall -Wextra -Werror -I$(EMULATOR) -I$(KERNELS) -fvisibility=hidden -fvisibility-inlines-hidden

# Flags for the runtime, for kernels and tests, and for linking.
RUNTIME_FLAGS_fast :=
KERNEL_FLAGS_fast :=
LINK_FLAGS_fast :=

RUNTIME_FLAGS_checked :=
KERNEL_FLAGS_checked := -DBRANTAS_CHECKED=true -fsanitize=thread --param tsan-instrument-func-entry-exit=0
LINK_FLAGS_checked :=

RUNTIME_FLAGS_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
KERNEL_FLAGS_asan := $(RUNTIME_FLAGS_asan)
LINK_FLAGS_asan := -fsanitize=address,undefined

RUNTIME_FLAGS_tsan := -DBRANTAS_TSAN -fno-tree-loop-distribute-patterns
KERNEL_FLAGS_tsan := -DBRANTAS_TSAN -fsanitize=thread
LINK_FLAGS_tsan := -fsanitize=thread

RUNTIME_SOURCES := fibre memory block check races source traffic warp grid hooks
