# make demo: set up, train a forecaster on bundled real data, show its backtest and pictures.
# make test: set up, run the tests.
# make docs: set up, build the documentation into build/docs.
# make bench: set up, measure the kernels against torch on this machine.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
DEMO_OUT ?= runs/demo
BENCH_OUT ?= runs/bench

# Each of the many processes that the tests start would else compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow lint lint-cpp docs format-cpp bench sanitize sanitize-selected clean setup

setup: $(VENV)/.installed

# The constraints must reach pip's isolated build environment too: the variable does, the option -c does not.
$(VENV)/.installed: pyproject.toml CMakeLists.txt constraints-dev.txt $(wildcard csrc/*)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=$(abspath constraints-dev.txt) PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/pip install --quiet torch==2.13.0 -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/recurra demo --out $(DEMO_OUT)

test: setup
	$(BIN)/python -m pytest -n auto --dist loadfile --ignore tests/cli/test_torchrun.py
	$(BIN)/python -m pytest tests/cli/test_torchrun.py

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Of the C++ sources, all but the generated cells.
CPP := $(filter-out %.generated.hpp,$(wildcard csrc/*.hpp csrc/*.cpp csrc/tests/*))

lint-cpp:
	clang-format --dry-run --Werror $(CPP)
	clang-tidy --quiet csrc/tests/engine_test.cpp csrc/step_table.cpp csrc/transducer.cpp csrc/prefix_beam.cpp csrc/parallel.cpp csrc/instruction_sets.cpp \
		-- -std=c++17 -Wno-psabi -DRECURRA_SELECTED

format-cpp:
	clang-format -i $(CPP)

# Needs no network. A warning, such as a link to a page or a heading that does not exist, is an error.
docs: setup
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet -d build/docs.doctrees docs build/docs

bench: setup
	$(BIN)/python -m benchmarks all --out $(BENCH_OUT)

# The engine's own test under the address, undefined-behaviour and thread sanitizers; new memory is full of NaN. All of it
# takes about ten minutes of processor time, the selection that .ci/run makes one.
ENGINE_TEST := -std=c++17 -O1 -g1 -Wall -Wextra -Wno-psabi -Wno-maybe-uninitialized csrc/tests/engine_test.cpp csrc/step_table.cpp csrc/transducer.cpp csrc/prefix_beam.cpp csrc/parallel.cpp -pthread
ADDRESS := -fsanitize=address,undefined -fno-sanitize-recover=all
FILLED := ASAN_OPTIONS=max_malloc_fill_size=1000000000:malloc_fill_byte=255

sanitize-selected:
	mkdir -p build/sanitize
	$(CXX) $(ADDRESS) -DRECURRA_SELECTED $(ENGINE_TEST) -o build/sanitize/selected
	$(FILLED) build/sanitize/selected

sanitize:
	mkdir -p build/sanitize
	$(CXX) $(ADDRESS) $(ENGINE_TEST) -o build/sanitize/address
	$(FILLED) build/sanitize/address
	$(CXX) -fsanitize=thread $(ENGINE_TEST) -o build/sanitize/thread
	build/sanitize/thread

clean:
	rm -rf $(VENV) build runs
