# Everything starts here: `make run` opens the workbench, `make test` runs the tests.
# Both install into .venv first, once; they install again only when pyproject.toml or constraints.txt changes.
# `make run GPU=cuda` (metal, vulkan, rocm; cpu to go back) installs llama.cpp for a graphics card, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# GCC up to at least 12 miscompiles the AMX tile code of ggml (its _tile_loadconfig declares 8 of the 64 bytes it reads),
# and every answer then ends in SIGSEGV on processors that have AMX. Without this macro ggml uses AVX-512 there.
FLAGS := -U__AMX_INT8__
export CMAKE_ARGS := -DCMAKE_C_FLAGS=$(FLAGS) -DCMAKE_CXX_FLAGS=$(FLAGS) $(CMAKE_ARGS)

# the choice is remembered by a file, which the set-up makes where it worked; code 3: the processor is used instead
GPU ?= $(firstword $(patsubst $(VENV)/.gpu-%,%,$(wildcard $(VENV)/.gpu-*)))
CHOSEN := $(if $(GPU),$(VENV)/.gpu-$(GPU))
SET_UP = $(BIN)/python -m workbench.llama_setup $(GPU) || test $$? -eq 3

.PHONY: run test check lint format model picture bench peers clean

run: $(READY) $(CHOSEN)  ## open the demo comparison
	@$(BIN)/workbench prompts/demo.bench.yaml

test: $(READY)  ## run the tests
	$(BIN)/pytest -n 2

check: lint test  ## everything that must hold before a commit

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## lay the code out and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

model: $(READY)  ## train the embedded model anew from its recipe
	$(BIN)/python -m assets.recipe build

picture: $(READY)  ## draw the pictures of the documents from the running app; the one of servers needs `make peers`
	$(BIN)/python tests/tui/picture.py
	$(BIN)/python -m tests.tui.tour_pictures
	$(BIN)/python -m tests.tui.server_picture

bench: $(READY)  ## measure, and print each figure as a ratio
	$(BIN)/python -m tests.benchmarks

peers: $(READY)  ## build llama-server and install the servers that some tests ask; without them these tests are skipped
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[peers]'
	$(BIN)/python -m tests.peers build

$(READY): pyproject.toml constraints.txt | $(BIN)/python $(CHOSEN)
	@$(if $(CHOSEN),:,$(SET_UP))
	@echo "Installing Python packages into $(VENV): a few minutes, the first time." >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "The workbench needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@for tool in cc cmake; do command -v $$tool >/dev/null || \
		{ echo "The llama.cpp engine is built from source and needs a C compiler and cmake; '$$tool' was not found. On Debian: apt install build-essential cmake; on macOS: xcode-select --install && brew install cmake" >&2; exit 1; }; done
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.gpu-%: pyproject.toml constraints.txt | $(BIN)/python
	@$(SET_UP)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
