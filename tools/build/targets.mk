# Targets for people: check, demo, install, lint, help.

.PHONY: deps
deps:
	$(Q)tools/build/install-deps.sh

.PHONY: clean
clean:
	$(Q)rm -rf build

.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make                 build libfi.so, libfi.a, fid and fictl into build/
