# Targets for people. The lines that begin with two hashes are `make help`.

## make                 build libfi.so, libfi.a, fid, fictl and fid-probe into build/
## make demo            install what is missing, build, and serve real networks from a small pool
## make check           install what is missing, build, and run every test this machine can run
## make check-fast      unit tests and structure checks: under a minute, no root
## make unit-ROOM       the unit tests of one room, e.g. make unit-plan
## make check-preload  the tests of the preload library
## make check-bpf       the tests of the BPF programs and fid-probe, as root
## make bench-fused     groups beside separate models and other runtimes; FUSED= options of fused.py
## make gpu-bundle      build/gpu-bundle, to run on a machine with an NVIDIA driver: run.sh there
## make bench           round trip and swap-ins against fio, as tables (minutes)
## make install         into $(DESTDIR)$(prefix); uninstall takes it away again
## make lint            shellcheck, cppcheck, clang-tidy where installed: a signal to look
## make format          clang-format over every source
## make compile_commands.json, make clean, make help
##
## V=1 shows commands; SANITIZE=address,undefined builds into build/sanitize;
## ONEDNN=DIR builds with the oneDNN in DIR/include and DIR/lib (2.x or 3.x) into build/onednn;
## FI_REQUIRE=bpf,uring,odirect makes a missing feature a failure, not a skip.

.PHONY: help deps deps-demo deps-test clean
help:
	@sed -n 's/^## \{0,1\}//p' tools/build/targets.mk

deps:
	$(Q)tools/build/install-deps.sh build
deps-demo:
	$(Q)tools/build/install-deps.sh build demo
deps-test:
	$(Q)tools/build/install-deps.sh build test
clean:
	$(Q)rm -rf build compile_commands.json

# What is built must be made by a second make: the first may have lacked pkg-config files.
.PHONY: demo
demo: deps-demo
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/demo.py $(BUILD)

.PHONY: check check-fast check-long check-structure check-sanitize check-all
check: deps-test
	$(Q)$(MAKE) --no-print-directory check-all

check-structure: $(BUILD)/libfi.so $(BUILD)/libfi-preload.so
	$(Q)tools/build/check-layers.sh
	$(Q)tools/build/check-exports.sh $(BUILD)/libfi.so $(BUILD)/libfi-preload.so
	$(Q)tools/build/check-headers.sh $(CC) $(filter -std=% -D% -I%,$(CFLAGS_ALL)) -Wall -Wextra

check-fast: check-structure $(UNIT_TESTS)
	$(Q)tools/build/run-tests.sh $(UNIT_TESTS)

# Everything once as it ships and once more under the sanitizers, except for the
# BPF programs, which run in the kernel; one closing line is summed over all.
SANITIZED := build$(if $(ONEDNN),/onednn)/sanitize
check-all: all tests check-structure
	$(Q)$(MAKE) --no-print-directory SANITIZE=address,undefined all tests
	$(Q)tools/build/run-tests.sh $(UNIT_TESTS) $(INTEGRATION_TESTS) \
		$(PRELOAD_TESTS) $(bpf_TESTS) $(UNIT_SRCS:%.c=$(SANITIZED)/%) \
		$(INTEGRATION_SRCS:%.c=$(SANITIZED)/%) $(PRELOAD_TESTS:$(BUILD)/%=$(SANITIZED)/%)

.PHONY: check-bpf
check-bpf: all $(bpf_TESTS)
	$(Q)tools/build/run-tests.sh $(bpf_TESTS)

.PHONY: bench
bench: all deps-demo
	$(Q)$(BUILD)/fictl bench ipc
	$(Q)for model in squeezenet1_1 resnet18 vgg16; do $(BUILD)/fictl bench swap --model $$model; done

.PHONY: install uninstall
HEADERS := $(wildcard libfi/include/fusedinf/*.h)
MAN1 := $(wildcard Documentation/man/*.1)
MAN8 := $(wildcard Documentation/man/*.8)
install: all # the configuration is left alone when it is there, also by uninstall
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir) $(DESTDIR)$(includedir)/fusedinf \
		$(DESTDIR)$(pkgconfigdir) $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man8
	install -m 755 $(BUILD)/fid $(BUILD)/fictl $(bpf_PROGRAM) $(DESTDIR)$(bindir)
	install -m 755 $(BUILD)/libfi.so $(DESTDIR)$(libdir)/libfi.so.$(VERSION)
	ln -sf libfi.so.$(VERSION) $(DESTDIR)$(libdir)/libfi.so.$(VERSION_MAJOR)
	ln -sf libfi.so.$(VERSION_MAJOR) $(DESTDIR)$(libdir)/libfi.so
	install -m 755 $(BUILD)/libfi-preload.so $(DESTDIR)$(libdir)
	install -m 644 $(BUILD)/libfi.a $(DESTDIR)$(libdir)
	install -m 644 $(HEADERS) $(DESTDIR)$(includedir)/fusedinf
	install -m 644 $(BUILD)/fusedinf.pc $(DESTDIR)$(pkgconfigdir)
	install -m 644 $(MAN1) $(DESTDIR)$(mandir)/man1
	install -m 644 $(MAN8) $(DESTDIR)$(mandir)/man8
	install -d $(DESTDIR)$(unitdir) $(DESTDIR)$(sysusersdir) $(DESTDIR)$(sysconfdir)/fusedinf
	for unit in fid $(if $(bpf_PROGRAM),fid-probe); do sed 's|@bindir@|$(bindir)|g;s|@libdir@|$(libdir)|g' \
		tools/deploy/$$unit.service.in > $(DESTDIR)$(unitdir)/$$unit.service || exit 1; done
	install -d $(DESTDIR)$(pkgdatadir)
	install -m 755 tools/bpftrace/*.bt $(DESTDIR)$(pkgdatadir)
	install -m 644 tools/dashboards/* $(DESTDIR)$(pkgdatadir)
	install -m 644 tools/deploy/fusedinf.sysusers $(DESTDIR)$(sysusersdir)/fusedinf.conf
	test -e $(DESTDIR)$(sysconfdir)/fusedinf/fid.conf || \
		install -m 644 tools/deploy/fid.conf $(DESTDIR)$(sysconfdir)/fusedinf/fid.conf
uninstall:
	rm -f $(DESTDIR)$(bindir)/fid $(DESTDIR)$(bindir)/fictl $(DESTDIR)$(bindir)/fid-probe \
		$(DESTDIR)$(libdir)/libfi.a $(DESTDIR)$(libdir)/libfi-preload.so \
		$(DESTDIR)$(libdir)/libfi.so $(DESTDIR)$(libdir)/libfi.so.$(VERSION_MAJOR) \
		$(DESTDIR)$(libdir)/libfi.so.$(VERSION) $(DESTDIR)$(pkgconfigdir)/fusedinf.pc \
		$(MAN1:Documentation/man/%=$(DESTDIR)$(mandir)/man1/%) \
		$(MAN8:Documentation/man/%=$(DESTDIR)$(mandir)/man8/%)
	rm -f $(DESTDIR)$(unitdir)/fid.service $(DESTDIR)$(unitdir)/fid-probe.service \
		$(DESTDIR)$(sysusersdir)/fusedinf.conf
	rm -rf $(DESTDIR)$(includedir)/fusedinf $(DESTDIR)$(pkgdatadir)

ALL_SRCS := $(shell find libfi daemon tools tests bpf/include -name '*.[ch]' 2>/dev/null)
compile_commands.json: Makefile
	$(Q)tools/build/compile-commands.sh "$(CURDIR)" "$(CC) $(CFLAGS_ALL)" \
		$(filter %.c,$(ALL_SRCS)) > $@

.PHONY: lint format
lint: compile_commands.json
	$(Q)if command -v shellcheck > /dev/null; then shellcheck tools/build/*.sh tests/fuzz/*.sh .ci/run; fi
	$(Q)if command -v cppcheck > /dev/null; then cppcheck -q --std=c11 --enable=warning,portability \
		--inline-suppr -Ilibfi/include -Ilibfi -I. libfi daemon tools; fi
	$(Q)if command -v clang-tidy > /dev/null; then clang-tidy --quiet -p . \
		$(filter-out tests/%,$(filter %.c,$(ALL_SRCS))); fi
format:
	$(Q)clang-format -i $(ALL_SRCS)
