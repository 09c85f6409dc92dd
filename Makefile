# SPDX-License-Identifier: Apache-2.0
# The front door. Each target installs what it needs first (Debian packages, as root).
BUILD ?= build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
CMAKE_FLAGS = -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$(PREFIX) \
              $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache)

.PHONY: help run build test fuzz install format clean

help:
	@echo "make run      build, then tell a story with the bundled model"
	@echo "make build    build only; the program is $(BUILD)/baton"
	@echo "make test     build and run every test"
	@echo "make fuzz     run each fuzzer for FUZZ_SECONDS (default 60)"
	@echo "make install  install program, library, headers and pkg-config file under PREFIX ($(PREFIX))"
	@echo "make format   reformat the C sources"

run: build
	@$(BUILD)/baton run -p "Once upon a time" -n 200

build:
	@sh tools/setup.sh build
	@cmake -S . -B $(BUILD) $(CMAKE_FLAGS) -DBATON_TESTS=OFF >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@ninja -C $(BUILD) -j $(JOBS) --quiet baton

test:
	@sh tools/setup.sh test
	@python3 test/run.py --build $(BUILD)

fuzz:
	@sh tools/setup.sh fuzz
	@sh test/fuzz/run.sh

install: build
	@ninja -C $(BUILD) -j $(JOBS) --quiet
	@cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf $(BUILD) build-*
