# FusedInf: one non-recursive Makefile. Folders list their sources in build.mk;
# a room also lists the rooms it may link with, which is checked by linking
# its unit tests against those only. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

SANITIZE ?=
ONEDNN ?=
BUILD ?= build$(if $(ONEDNN),/onednn)$(if $(SANITIZE),/sanitize)
prefix ?= /usr/local
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
pkgconfigdir ?= $(libdir)/pkgconfig
sysconfdir ?= /etc
pkgdatadir ?= $(prefix)/share/fusedinf
unitdir ?= $(prefix)/lib/systemd/system
sysusersdir ?= $(prefix)/lib/sysusers.d
DESTDIR ?=

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
PKG_CONFIG ?= pkg-config
PROTOC_C ?= protoc-c
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-7s %s\n' '$(1)' '$(2)')

VERSION := $(shell sed -n 's/^#define FUSEDINF_VERSION "\(.*\)"/\1/p' libfi/include/fusedinf/version.h)
VERSION_MAJOR := $(firstword $(subst ., ,$(VERSION)))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wformat=2 -Wundef -Wno-format-nonliteral
WERROR ?= $(if $(CI),-Werror)
OPTIMIZE ?= -O2 -g
CFLAGS_SANITIZE := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
# A folder with another oneDNN than the system's, 2.x or 3.x, as its package unpacks.
ifneq ($(ONEDNN),)
comma := ,
ONEDNN_LIBDIR := $(patsubst %/libdnnl.so,%,$(firstword \
	$(wildcard $(patsubst %,$(ONEDNN)/%/libdnnl.so,lib lib64 lib/*))))
$(if $(ONEDNN_LIBDIR),,$(error ONEDNN=$(ONEDNN): no libdnnl.so in its lib, lib64 or lib/*))
CFLAGS_ONEDNN := -I$(ONEDNN)/include
LDFLAGS_ONEDNN := -L$(ONEDNN_LIBDIR) -Wl$(comma)-rpath$(comma)$(ONEDNN_LIBDIR)
endif
# No contraction of a*b+c in the reference kernels: they are the oracle.
CFLAGS_ALL := -std=gnu11 $(OPTIMIZE) $(WARNINGS) $(WERROR) -fPIC -fvisibility=hidden -pthread \
	-D_GNU_SOURCE -Ilibfi/include -Ilibfi -Ibpf/include -I. -I$(BUILD)/gen \
	$(CFLAGS_ONEDNN) $(CFLAGS_SANITIZE) $(CPPFLAGS) $(CFLAGS)
LDFLAGS_ALL := -pthread $(CFLAGS_SANITIZE) $(LDFLAGS_ONEDNN) $(LDFLAGS)

# ---- rooms ------------------------------------------------------------------

ROOMS := base graph import fuse plan pack device mem load exec engine policy ipc
include $(wildcard $(ROOMS:%=libfi/%/build.mk))
include libfi/preload/build.mk
include $(wildcard daemon/build.mk tools/fictl/build.mk tests/build.mk bpf/build.mk)

room_objs = $(patsubst %.c,$(BUILD)/%.o,$(addprefix libfi/$(1)/,$($(1)_SRCS))) \
	$(patsubst %,$(BUILD)/gen/%,$($(1)_GEN_OBJS))
# Rooms that those in @1 may use, themselves first, transitively.
closure = $(foreach r,$(1),$(r) $(foreach d,$($(r)_DEPS),$(call closure,$(d))))
uniq = $(if $(1),$(firstword $(1)) $(call uniq,$(filter-out $(firstword $(1)),$(1))))
room_closure = $(call uniq,$(call closure,$(1)))
room_libs = $(foreach r,$(room_closure),$($(r)_LIBS))
archives = $(patsubst %,$(BUILD)/libfi/%.a,$(call room_closure,$(1)))
libs = $(call uniq,$(foreach r,$(call room_closure,$(1)),$($(r)_LIBS)))

LIB_OBJS := $(foreach r,$(ROOMS),$(call room_objs,$(r)))
LIB_LIBS := $(call uniq,$(foreach r,$(ROOMS),$($(r)_LIBS)))

FID_OBJS := $(patsubst %.c,$(BUILD)/daemon/%.o,$(fid_SRCS))
FICTL_OBJS := $(patsubst %.c,$(BUILD)/tools/fictl/%.o,$(fictl_SRCS))

.PHONY: all
all: $(BUILD)/libfi.a $(BUILD)/libfi.so $(if $(FID_OBJS),$(BUILD)/fid) $(if $(FICTL_OBJS),$(BUILD)/fictl) \
	$(bpf_PROGRAM) $(BUILD)/libfi-preload.so $(BUILD)/fusedinf.pc

# ---- generated code -----------------------------------------------------------

ONNX_PROTO ?= $(firstword $(wildcard /usr/include/onnx/onnx.proto /usr/local/include/onnx/onnx.proto))
$(BUILD)/gen/onnx.pb-c.c $(BUILD)/gen/onnx.pb-c.h &: $(ONNX_PROTO) tools/build/onnx-proto.awk
	$(call say,PROTOC,$(BUILD)/gen/onnx.pb-c.c)
	$(Q)mkdir -p $(BUILD)/gen
	$(Q)test -n "$(ONNX_PROTO)" || { echo "onnx.proto not found: install libonnx-dev" >&2; exit 1; }
	$(Q)awk -f tools/build/onnx-proto.awk $(ONNX_PROTO) >$(BUILD)/gen/onnx.proto
	$(Q)cd $(BUILD)/gen && $(PROTOC_C) --c_out=. onnx.proto
$(BUILD)/gen/onnx.pb-c.o: $(BUILD)/gen/onnx.pb-c.c
	$(call say,CC,$@)
	$(Q)$(CC) $(filter-out -W%,$(CFLAGS_ALL)) -c -o $@ $<

# fictl looks there for the preload library.
CFLAGS_tools_fictl_cmd_app := -DFI_LIBDIR='"$(libdir)"'

# ---- compiling ------------------------------------------------------------------

# Any file may include the generated header, so all wait for it.
$(BUILD)/%.o: %.c | $(BUILD)/gen/onnx.pb-c.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_$(subst /,_,$(basename $<))) -MMD -MP -c -o $@ $<

define room_rule
$(BUILD)/libfi/$(1).a: $(call room_objs,$(1))
	$$(call say,AR,$$@)
	$(Q)mkdir -p $$(@D); rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_rule,$(r))))

$(BUILD)/libfi.a: $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@; $(AR) rcs $@ $^

$(BUILD)/libfi.so: $(LIB_OBJS) libfi/libfi.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libfi.so.$(VERSION_MAJOR) -Wl,--version-script=libfi/libfi.map \
		$(if $(SANITIZE),,-Wl,-z,defs) -o $@ $(LIB_OBJS) $(LDFLAGS_ALL) $(LIB_LIBS)
	$(Q)ln -sf libfi.so $(BUILD)/libfi.so.$(VERSION_MAJOR)

# A guest in other programs: only libc, always optimised, without sanitizers' runtimes.
PRELOAD_OBJS := $(preload_SRCS:%.c=$(BUILD)/libfi/preload/%.o)
PRELOAD_CFLAGS := $(filter-out $(CFLAGS_SANITIZE) -flto%,$(CFLAGS_ALL)) -O2 -fno-semantic-interposition \
	-fno-lto -ftls-model=initial-exec
$(BUILD)/libfi/preload/%.o: libfi/preload/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(PRELOAD_CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/libfi-preload.so: $(PRELOAD_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libfi-preload.so -Wl,-z,defs -Wl,-z,nodelete -Wl,-Bsymbolic -o $@ $^ \
		-pthread $(filter-out $(CFLAGS_SANITIZE),$(LDFLAGS))

$(BUILD)/fid: $(FID_OBJS) $(BUILD)/libfi.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIB_LIBS) $(fid_LIBS)

$(BUILD)/fictl: $(FICTL_OBJS) $(BUILD)/libfi.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIB_LIBS) $(fictl_LIBS)

# Made each time: prefix may differ from the last time.
.PHONY: $(BUILD)/fusedinf.pc
$(BUILD)/fusedinf.pc: libfi/fusedinf.pc.in
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@prefix@|$(prefix)|;s|@libdir@|$(libdir)|;s|@includedir@|$(includedir)|;s|@version@|$(VERSION)|' $< > $@

# ---- tests ------------------------------------------------------------------------
# tests/unit/<room>/test_<file>.c links with <room>, the rooms it may use, and
# nothing else; tests/integration/test_<what>.c with the whole library.

CHECK_LIBS := $(shell $(PKG_CONFIG) --libs check 2>/dev/null || echo -lcheck) -lm
# An archive: a test links only the parts it uses, some of which need a room.
SUPPORT := $(BUILD)/tests/support.a
$(SUPPORT): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support/*.c))
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D); rm -f $@
	$(Q)$(AR) rcs $@ $^
UNIT_SRCS := $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c)
INTEGRATION_SRCS := $(wildcard tests/integration/test_*.c)
UNIT_TESTS := $(UNIT_SRCS:%.c=$(BUILD)/%)
INTEGRATION_TESTS := $(INTEGRATION_SRCS:%.c=$(BUILD)/%)
test_room = $(word 3,$(subst /, ,$(1)))

define unit_rule
$(BUILD)/$(1:.c=): $(BUILD)/$(1:.c=.o) $(SUPPORT) $(call archives,$(call test_room,$(1)) $($(call test_room,$(1))_TEST_DEPS))
	$$(call say,LD,$$@)
	$(Q)$(CC) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$$(LDFLAGS_ALL) $(call libs,$(call test_room,$(1)) $($(call test_room,$(1))_TEST_DEPS)) $(CHECK_LIBS)
endef
$(foreach t,$(UNIT_SRCS),$(eval $(call unit_rule,$(t))))

$(INTEGRATION_TESTS): $(BUILD)/%: $(BUILD)/%.o $(SUPPORT) $(BUILD)/libfi.a
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIB_LIBS) $(CHECK_LIBS)

.PHONY: tests
tests: $(UNIT_TESTS) $(INTEGRATION_TESTS) $(PRELOAD_TESTS) $(bpf_TESTS)

# One room: make unit-plan
.PHONY: $(ROOMS:%=unit-%)
$(foreach r,$(ROOMS),$(eval unit-$(r): $(filter $(BUILD)/tests/unit/$(r)/%,$(UNIT_TESTS)); $(Q)tools/build/run-tests.sh $$^))

include tools/build/targets.mk

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
