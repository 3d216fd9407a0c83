# libfi/device: sources, the rooms it may use, the libraries it needs.
device_SRCS := device.c join.c host/host.c host/pool.c host/layout.c host/site.c host/forms.c \
	host/build_conv.c host/build_matrix.c host/build_pool.c host/build_element.c \
	host/build_other.c host/build_reduce.c host/build_move.c host/build_resample.c host/attention.c host/columns.c \
	host/kernel.c host/ref.c host/steps.c host/tiles.c host/onednn.c \
	host/onednn_pd.c host/onednn_ops.c cuda/driver.c cuda/cuda.c cuda/pool.c cuda/upload.c \
	cuda/capture.c cuda/kernels.c cuda/forms.c cuda/builders.c cuda/call.c \
	cuda/build_binary.c cuda/build_element.c cuda/build_move.c cuda/build_product.c \
	cuda/build_reduce.c cuda/build_indexed.c cuda/build_resample.c cuda/build_einsum.c
device_DEPS := graph base
device_LIBS := -ldnnl -lgomp -lm
CFLAGS_libfi_device_host_onednn := -fopenmp
# Loops that are to become vectors: no step looks at errno or at exceptions.
CFLAGS_libfi_device_host_steps := -O3 -fno-math-errno -fno-trapping-math

# The kernels as PTX for every card since sm_75 and every driver since CUDA 11.2;
# clang needs no toolkit for that. kernels.c takes the text into the library.
CUDA_CLANG ?= clang
cuda_PTX := $(BUILD)/gen/kernels.ptx
$(cuda_PTX): libfi/device/cuda/kernels/kernels.cu libfi/device/build.mk
	$(call say,PTX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CUDA_CLANG) -x cuda --cuda-device-only --cuda-gpu-arch=sm_75 -Xclang -target-feature -Xclang +ptx72 \
		-nocudainc -nocudalib -Wno-unknown-cuda-version -O3 -Wall -Wextra -Wno-unused-parameter $(WERROR) \
		-Ilibfi -MMD -MP -MF $@.d -MT $@ -S -o $@ $<
$(BUILD)/libfi/device/cuda/kernels.o: $(cuda_PTX)
CFLAGS_libfi_device_cuda_kernels := -DFINF_CUDA_PTX='"$(cuda_PTX)"'

# Where nvcc is installed, also compiled for these cards, so that no driver has to.
NVCC ?= $(firstword $(wildcard $(shell command -v nvcc 2>/dev/null) /usr/local/cuda/bin/nvcc))
CUDA_ARCHS ?= 80 86 87 89 90
ifneq ($(NVCC),)
comma := ,
cuda_FATBIN := $(BUILD)/gen/kernels.fatbin
$(cuda_FATBIN): $(cuda_PTX)
	$(call say,CUBIN,$(CUDA_ARCHS))
	$(Q)$(NVCC) -fatbin -O3 -Ilibfi -Xfatbin -compress-all \
		$(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a)$(comma)code=sm_$(a)) \
		-o $@ libfi/device/cuda/kernels/kernels.cu
$(BUILD)/libfi/device/cuda/kernels.o: $(cuda_FATBIN)
CFLAGS_libfi_device_cuda_kernels += -DFINF_CUDA_FATBIN='"$(cuda_FATBIN)"' \
	-DFINF_CUDA_ARCHS='$(foreach a,$(CUDA_ARCHS),$(a)$(comma))'
endif
