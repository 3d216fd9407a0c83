# BPF programs as a skeleton, and fid-probe, which loads them. Optional: where
# clang, bpftool or libbpf is missing, all else is built.
BPF_CLANG ?= clang
BPFTOOL ?= $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool 2>/dev/null)
bpf_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
bpf_INCLUDE := /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)
bpf_MISSING := $(strip $(if $(shell command -v $(BPF_CLANG) 2>/dev/null),,clang) $(if $(BPFTOOL),,bpftool) \
	$(if $(shell $(PKG_CONFIG) --exists libbpf 2>/dev/null && echo yes),,libbpf-dev) \
	$(if $(wildcard $(bpf_INCLUDE)/sys/sdt.h /usr/include/sys/sdt.h),,systemtap-sdt-dev))

probe_SRCS := main.c kernel.c site.c serve.c check.c list.c

ifneq ($(bpf_MISSING),)
ifeq ($(MAKELEVEL)$(filter clean help check demo deps%,$(MAKECMDGOALS)),0)
$(info fid-probe is left out: missing $(bpf_MISSING))
endif
else
bpf_OBJS := $(patsubst %.c,$(BUILD)/tools/probe/%.o,$(probe_SRCS))
bpf_PROGRAM := $(BUILD)/fid-probe
bpf_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bpf/test_*.c))
bpf_LIBS := $(shell $(PKG_CONFIG) --libs libbpf)

$(BUILD)/gen/arrival.bpf.o: bpf/arrival.bpf.c bpf/kernel.bpf.h bpf/include/fi_events.h
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPF_CLANG) -g -O2 -Wall -Wextra -Wno-unused-parameter $(WERROR) -target bpf -mcpu=v3 -D__TARGET_ARCH_$(bpf_ARCH) \
		-I$(bpf_INCLUDE) -Ibpf/include -c -o $@ $<
$(BUILD)/gen/arrival.skel.h: $(BUILD)/gen/arrival.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name fi_arrival_bpf > $@

# The skeleton is generated code: its warnings are not ours.
$(BUILD)/tools/probe/kernel.o: | $(BUILD)/gen/arrival.skel.h
CFLAGS_tools_probe_kernel := -isystem $(BUILD)/gen

$(bpf_PROGRAM): $(bpf_OBJS) $(BUILD)/libfi.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(bpf_LIBS) -lxxhash

# What the tests share, and fid-probe without its main().
$(bpf_TESTS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/bpf/bpf.o $(filter-out %/main.o,$(bpf_OBJS)) \
		$(BUILD)/tests/support.a $(BUILD)/libfi.a | $(bpf_PROGRAM) $(BUILD)/tests/bpf/caller $(BUILD)/fid
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIB_LIBS) $(bpf_LIBS) $(CHECK_LIBS)

# Against the shared library, like a client that is installed.
$(BUILD)/tests/bpf/caller: $(BUILD)/tests/bpf/caller.o $(BUILD)/libfi.so
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) -Wl,-rpath,'$$ORIGIN/../..'

# A measurement: what the sites cost.
$(BUILD)/tests/bpf/cost: $(BUILD)/tests/bpf/cost.o $(BUILD)/daemon/usdt.o $(BUILD)/libfi.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) -lxxhash
tests: $(BUILD)/tests/bpf/cost
endif
