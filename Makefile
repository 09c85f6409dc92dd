# SPDX-License-Identifier: Apache-2.0
# The front door. Each target installs what it needs first (Debian packages, as root).
BUILD ?= build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
CMAKE_FLAGS = -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$(PREFIX) -DBATON_TESTS=OFF \
              $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache)

.PHONY: help run build configure test fuzz install format clean

help:
	@echo "make run      build, then tell a story with the bundled model"
	@echo "make build    build only; the program is $(BUILD)/baton"
	@echo "make test     build and run every test; the last line is the count"
	@echo "make fuzz     run each fuzzer for FUZZ_SECONDS ($(FUZZ_SECONDS))"
	@echo "make install  install program, library, headers, pkg-config file and model under PREFIX ($(PREFIX))"
	@echo "make format   reformat the C sources, as the tests want them"

run: build
	@$(BUILD)/baton run --raw --echo -p "Once upon a time" -n 200 --temp 0.7 --seed 7

build: configure
	@ninja -C $(BUILD) -j $(JOBS) --quiet baton

configure:
	@sh tools/setup.sh build
	@mkdir -p $(BUILD)
	@cmake -S . -B $(BUILD) $(CMAKE_FLAGS) >$(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log; exit 1; }

test:
	@sh tools/setup.sh test
	@python3 test/run.py --build $(BUILD) --jobs $(JOBS)

fuzz:
	@sh tools/setup.sh fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) BUILD=$(BUILD) JOBS=$(JOBS) sh tools/fuzz.sh

install: configure
	@ninja -C $(BUILD) -j $(JOBS) --quiet
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX) >$(BUILD)/install.log 2>&1 || \
	    { cat $(BUILD)/install.log; exit 1; }
	@echo "installed under $(DESTDIR)$(PREFIX)"

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf $(BUILD)
