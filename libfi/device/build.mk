# libfi/device: sources, the rooms it may use, the libraries it needs.
device_SRCS := device.c host/host.c host/pool.c host/layout.c host/site.c host/forms.c \
	host/build_conv.c host/build_matrix.c host/build_pool.c host/build_element.c \
	host/build_other.c host/kernel.c host/ref.c host/onednn.c cuda/driver.c cuda/cuda.c \
	cuda/pool.c cuda/upload.c cuda/capture.c cuda/kernels.c cuda/forms.c cuda/builders.c \
	cuda/call.c cuda/build_binary.c cuda/build_element.c cuda/build_move.c \
	cuda/build_product.c cuda/build_reduce.c
device_DEPS := graph base
device_LIBS := -ldnnl -lgomp

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
