# make demo: set up, train a forecaster on bundled real data, show its backtest and pictures.
# make test: set up, run the tests.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
DEMO_OUT ?= runs/demo

.PHONY: demo test test-slow lint bench clean setup

setup: $(VENV)/.installed

# The constraints must reach pip's isolated build environment too: the variable does, the option -c does not.
$(VENV)/.installed: pyproject.toml CMakeLists.txt constraints-dev.txt $(wildcard csrc/*)
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=$(abspath constraints-dev.txt) PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/pip install --quiet torch==2.13.0 -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/recurra demo --out $(DEMO_OUT)

test: setup
	$(BIN)/python -m pytest

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build runs
