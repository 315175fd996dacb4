# The compiler, its flags, and which architectures it can serve. A cubin runs on devices of the same major and an equal or
# higher minor number: 80 serves 87, 100 serves 103, 120 serves 121; everything else starts from the PTX. Toolkits before
# 12.8 know neither 100 nor 120: ARCHS_LEFT_OUT names what was asked for and cannot be had.
NVCC ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
ifeq ($(NVCC),)
$(error there is no nvcc on the PATH or in /usr/local/cuda/bin: install the CUDA toolkit 12.6 or later, or name the compiler with NVCC=)
endif
FATBINARY ?= $(firstword $(shell command -v $(patsubst %/nvcc,%/fatbinary,$(NVCC))) fatbinary)

ARCHS ?= 80 86 89 90 100 120
PTX_ARCH := 80

ARCHS_OFFERED := $(patsubst sm_%,%,$(shell $(NVCC) --list-gpu-code))
ARCHS_BUILT := $(filter $(ARCHS_OFFERED),$(ARCHS))
ARCHS_LEFT_OUT := $(filter-out $(ARCHS_OFFERED),$(ARCHS))
ifneq ($(ARCHS_LEFT_OUT),)
$(warning this toolkit does not know $(ARCHS_LEFT_OUT:%=sm_%): such devices start from the PTX of compute_$(PTX_ARCH))
endif
ifeq ($(ARCHS_BUILT),)
$(error ARCHS="$(ARCHS)" names nothing that this toolkit can build, it offers $(ARCHS_OFFERED))
endif

# No fast-math: kernels choose approximations call by call. Who profiles adds PROFILE=-lineinfo: it makes the image four times
# as large.
NVCC_FLAGS := -std=c++20 -O3 -Werror all-warnings $(PROFILE)
