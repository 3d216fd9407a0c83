# What is built beside the Check tests.

# One program to carry to a GPU machine: liburing inside where its archive exists.
LIBURING_A := $(wildcard $(shell $(CC) -print-file-name=liburing.a 2>/dev/null))
$(BUILD)/tests/gpu/probe: $(BUILD)/tests/gpu/probe.o
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(LDFLAGS_ALL) $(or $(LIBURING_A),-luring) -ldl

.PHONY: gpu-probe
gpu-probe: $(BUILD)/tests/gpu/probe

# The zoo is part of fictl; its test writes networks itself.
$(BUILD)/tests/integration/test_zoo: $(zoo_OBJS)

# The example is compiled against the shared library by its test.
$(BUILD)/tests/integration/test_example: | $(BUILD)/libfi.so $(BUILD)/fusedinf.pc

# Allocations and system calls that this test makes fail.
$(BUILD)/tests/unit/import/test_failure: LDFLAGS_ALL += \
	$(foreach f,malloc calloc realloc open fstat mmap,-Wl,--wrap=$(f))
$(BUILD)/tests/unit/graph/test_memory: LDFLAGS_ALL += \
	$(foreach f,malloc calloc realloc,-Wl,--wrap=$(f))

# The vendor's header, where a toolkit is installed, proves our own declarations.
CUDA_INCLUDE ?= $(dir $(firstword $(wildcard /usr/local/cuda/include/cuda.h /usr/include/cuda.h)))
CFLAGS_tests_unit_device_test_cuda_abi := \
	$(if $(CUDA_INCLUDE),-DFI_HAVE_CUDA_H=1 -isystem $(CUDA_INCLUDE),-DFI_HAVE_CUDA_H=0)

# The driver on host memory: tests/support/fakecuda/fakecuda.h.
# Kernels and their fibers do what no thread sanitizer understands.
FAKECUDA := $(BUILD)/tests/fakecuda/libcuda.so.1
fakecuda_KERNELS := $(BUILD)/tests/support/fakecuda/kernels.o
CFLAGS_tests_support_fakecuda_fiber := -fno-sanitize=thread
$(fakecuda_KERNELS): libfi/device/cuda/kernels/kernels.cu
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -O3 -fno-sanitize=thread -Wno-unknown-pragmas -DFINF_K_CPU \
		-include tests/support/fakecuda/kernels.h -x c -MMD -MP -c -o $@ $<
$(FAKECUDA): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support/fakecuda/*.c)) $(fakecuda_KERNELS)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-soname,libcuda.so.1 -o $@ $^ $(LDFLAGS_ALL) -lm
$(BUILD)/tests/unit/device/test_cuda $(BUILD)/tests/unit/device/test_cuda_kernels $(BUILD)/tests/unit/device/test_fakecuda \
$(BUILD)/tests/unit/device/test_fakecuda_strict: | $(FAKECUDA)
$(BUILD)/tests/unit/device/test_gpu_probe: | $(FAKECUDA) $(BUILD)/tests/gpu/probe
