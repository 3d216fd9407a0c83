# What is built beside the Check tests.

# One program to carry to a GPU machine: liburing inside where its archive exists.
LIBURING_A := $(wildcard $(shell $(CC) -print-file-name=liburing.a 2>/dev/null))
$(BUILD)/tests/gpu/probe: $(BUILD)/tests/gpu/probe.o
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(LDFLAGS_ALL) $(or $(LIBURING_A),-luring) -ldl

.PHONY: gpu-probe
gpu-probe: $(BUILD)/tests/gpu/probe

# Writes networks for the folder below.
$(BUILD)/tests/gpu/models: $(BUILD)/tests/gpu/models.o $(zoo_OBJS) $(BUILD)/libfi.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIB_LIBS)

# A folder for a machine that has a driver and nothing else of ours: what is no
# part of every system lies in lib/, where DT_RPATH finds it, also for libraries.
GPU_BUNDLE := $(BUILD)/gpu-bundle
bundle_STATIC := uring xxhash jansson protobuf-c inih
bundle_libs = $(foreach l,$(1),$(or $(if $(filter $(bundle_STATIC:%=-l%),$(l)),$(wildcard \
	$(shell $(CC) -print-file-name=lib$(l:-l%=%).a))),$(l)))
.PHONY: gpu-bundle
gpu-bundle: $(GPU_BUNDLE)/run.sh
$(GPU_BUNDLE)/run.sh: tests/gpu/run.sh tests/gpu/bundle.sh $(BUILD)/fid $(BUILD)/fictl $(BUILD)/libfi.a \
		$(BUILD)/libfi-preload.so $(BUILD)/tests/gpu/probe $(BUILD)/tests/gpu/models \
		tests/golden/digits/digits.onnx
	$(call say,BUNDLE,$(@D))
	$(Q)rm -rf $(@D); mkdir -p $(@D)/lib
	$(Q)$(CC) -o $(@D)/fid $(FID_OBJS) $(BUILD)/libfi.a $(LDFLAGS_ALL) -Wl,--disable-new-dtags,-rpath,'$$ORIGIN/lib' \
		$(call bundle_libs,$(LIB_LIBS) $(fid_LIBS))
	$(Q)$(CC) -o $(@D)/fictl $(FICTL_OBJS) $(BUILD)/libfi.a $(LDFLAGS_ALL) -Wl,--disable-new-dtags,-rpath,'$$ORIGIN/lib' \
		$(call bundle_libs,$(LIB_LIBS) $(fictl_LIBS))
	$(Q)cp $(BUILD)/tests/gpu/probe $(BUILD)/libfi-preload.so tests/golden/digits/digits.onnx $(@D)
	$(Q)$(BUILD)/tests/gpu/models $(@D)
	$(Q)tests/gpu/bundle.sh $(@D)
	$(Q)cp tests/gpu/run.sh $@

$(BUILD)/tests/integration/test_gpu_bundle: | $(GPU_BUNDLE)/run.sh $(FAKECUDA)

# The zoo is part of fictl; these tests write networks themselves.
$(BUILD)/tests/integration/test_zoo $(BUILD)/tests/integration/test_cuda \
$(BUILD)/tests/integration/test_cuda_fid: $(zoo_OBJS)

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
	$(Q)$(CC) -shared -Wl,-soname,libcuda.so.1 -Wl,-Bsymbolic -o $@ $^ $(LDFLAGS_ALL) -lm
$(addprefix $(BUILD)/tests/unit/device/,test_cuda test_cuda_device test_cuda_forms test_cuda_kernels test_cuda_launch test_fakecuda \
	test_fakecuda_strict) $(addprefix $(BUILD)/tests/unit/load/,test_load test_upload): | $(FAKECUDA)
$(addprefix $(BUILD)/tests/integration/,test_backend test_cuda test_cuda_fid test_cuda_group \
	test_cuda_tools): | $(FAKECUDA)
$(BUILD)/tests/unit/device/test_gpu_probe: | $(FAKECUDA) $(BUILD)/tests/gpu/probe

# A fid on which faster forms of weights are slow.
$(BUILD)/tests/slow/fid: $(BUILD)/tests/support/slow/grown.o $(BUILD)/fid
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $< $(FID_OBJS) $(BUILD)/libfi.a $(LDFLAGS_ALL) -Wl,--wrap=finf_binding_run $(LIB_LIBS) $(fid_LIBS)
$(BUILD)/tests/integration/test_fast: | $(BUILD)/tests/slow/fid

# Fused groups beside other runtimes; FUSED= takes options of tests/bench/fused.py.
FUSED ?= --all
$(BUILD)/tests/bench/roofline: tests/bench/roofline.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O3 -march=native -pthread -o $@ $<
.PHONY: bench-fused
bench-fused: all $(BUILD)/tests/bench/roofline
	$(Q)tests/bench/fused.py --build $(BUILD) --out $(BUILD)/bench-fused $(FUSED)

# Programs that run under the preload library, which know nothing of it.
PRELOAD_PROGRAMS := $(addprefix $(BUILD)/tests/preload/,app app_linked lookup server)
$(addprefix $(BUILD)/tests/preload/,app lookup server): %: %.o
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $< $(LDFLAGS_ALL) -ldl
$(BUILD)/tests/preload/app_linked: tests/preload/app.c $(FAKECUDA)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -DLINKED -o $@ $< $(FAKECUDA) $(LDFLAGS_ALL) -ldl
CFLAGS_tests_preload_test_preload := -DFI_CUDA_INCLUDE='"$(CUDA_INCLUDE)"'
PRELOAD_TESTS := $(addprefix $(BUILD)/tests/preload/,test_preload test_gate)
$(PRELOAD_TESTS): %: %.o $(BUILD)/tests/support.a $(BUILD)/libfi.a | $(PRELOAD_PROGRAMS) $(FAKECUDA) \
		$(BUILD)/libfi-preload.so $(BUILD)/fid $(BUILD)/fictl
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIB_LIBS) $(CHECK_LIBS)
$(BUILD)/tests/preload/test_gate: $(BUILD)/libfi/preload/gate.o
$(BUILD)/tests/bpf/test_observe: | $(BUILD)/tests/preload/server $(FAKECUDA) $(BUILD)/libfi-preload.so $(BUILD)/fictl
.PHONY: check-preload
check-preload: $(PRELOAD_TESTS)
	$(Q)tools/build/run-tests.sh $^
