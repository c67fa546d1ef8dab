# Every target makes its environment on first use, the only step that needs the network, and reuses it afterwards:
# a stamp in the environment says what is installed, and pip runs again only when pyproject.toml has changed since.

VENV       := .venv
BENCH_VENV := .venv-bench
RUN        := $(VENV)/bin/python

# The documentation's theme advertises its successor at every build.
export NO_MKDOCS_2_WARNING := 1

# A name on the PATH can be a shim that fails, so each candidate has to run, and to be able to make an environment.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
    $$p -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

.PHONY: help train test lint docs-build docs-test docs bench gpu-test gpu-bench clean
.NOTPARALLEL:  # two pips in one environment corrupt it

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' Makefile
	@echo 'Variables: DEVICE=gpu (train), ARGS="--epochs 5" or ARGS="-k formula" (passed on), PYTHON=python3.12 (for a new .venv)'

train: $(VENV)/.installed-tutorials  ## train a classifier of handwritten digits; results in out/digits/
	@$(RUN) tutorials/04_digits.py $(if $(DEVICE),--device $(DEVICE)) $(ARGS)

# A process for each core, and all tests of a file in one: they share what was made once.
PARALLEL := -n auto --dist loadfile -q

# The second run takes what has to do with a device to a strict stand-in for CuPy; 5 says that ARGS chose nothing of it.
test: $(VENV)/.installed-test  ## the test suite, and again what a GPU would run, on a stand-in for it
	@$(RUN) -m pytest $(PARALLEL) $(ARGS)
	@LUCIDLITE_TEST_DEVICE=standin $(RUN) -m pytest $(PARALLEL) $(ARGS) || [ $$? = 5 ]

lint: $(VENV)/.installed-dev  ## format, lint rules, types and the line budget
	@$(RUN) -m ruff format --check
	@$(RUN) -m ruff check
	@$(RUN) -m pyright --pythonpath $(RUN)
	@$(RUN) tools/budget.py

docs-build: $(VENV)/.installed-docs  ## build the documentation into site/
	@$(RUN) -m mkdocs build --strict
	@$(RUN) -m tools.check_site

docs-test: docs-build  ## build the documentation, and look at it in a browser
	@$(RUN) -m pytest $(PARALLEL) tests_docs $(ARGS)

docs: $(VENV)/.installed-docs  ## serve the documentation and rebuild it on every change
	@$(RUN) -m mkdocs serve

bench: $(BENCH_VENV)/.installed-bench  ## compare the speed with PyTorch's, which .venv never sees
	@$(BENCH_VENV)/bin/python -m benchmarks $(ARGS)

# CuPy has to fit the machine's driver, so this one uses a Python that has it and installs nothing.
GPU_PROBE := import hypothesis, numpy, pytest, cupy; cupy.cuda.runtime.getDeviceCount()
GPU_BENCH := import numpy, torch, cupy; cupy.cuda.runtime.getDeviceCount(); torch.zeros(1, device="cuda")
gpu-test:  ## the test suite on a GPU
	@for p in $(RUN) python3 python; do \
	    if $$p -c '$(GPU_PROBE)' 2>/dev/null; then exec env LUCIDLITE_TEST_DEVICE=gpu $$p -m pytest $(ARGS); fi; \
	done; \
	echo "make gpu-test needs a Python with cupy, numpy, pytest and hypothesis and an NVIDIA GPU, but python3 says:" \
	    "$$(python3 -c '$(GPU_PROBE)' 2>&1 | tail -n 1)" >&2; exit 1

gpu-bench:  ## compare the speed with PyTorch's on a GPU; writes benchmarks/results/gpu.json
	@for p in $(RUN) python3 python; do \
	    if $$p -c '$(GPU_BENCH)' 2>/dev/null; then \
	        exec $$p -m benchmarks --gpu --json benchmarks/results/gpu.json $(ARGS); fi; \
	done; \
	echo "make gpu-bench needs a Python with cupy, numpy and torch for CUDA and an NVIDIA GPU, but python3 says:" \
	    "$$(python3 -c '$(GPU_BENCH)' 2>&1 | tail -n 1)" >&2; exit 1

clean:  ## remove what was made, results in out/ too, but not the environments
	rm -rf site out dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

# The stamp is a copy of pyproject.toml, so that a checkout that only renews its time asks nothing of the network.
# -qq shows errors only.
define install
	@cmp -s pyproject.toml $@ || $(@D)/bin/python -m pip --version >/dev/null 2>&1 || { \
	    $(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	        echo 'lucidlite needs Python 3.11, 3.12 or 3.13, and $(if $(PYTHON),$(PYTHON) is none of them,none runs here):' \
	            'install one, or name it with PYTHON=/path/to/python3.' >&2; exit 1; }; \
	    echo 'Making $(@D) with $(PYTHON)'; $(PYTHON) -m venv $(@D); }
	@cmp -s pyproject.toml $@ || { \
	    echo 'Installing lucidlite[$*] and what it needs into $(@D) (once, from the network)'; \
	    $(@D)/bin/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'; }
	@cp pyproject.toml $@
endef

$(VENV)/.installed-%: pyproject.toml
	$(install)

$(BENCH_VENV)/.installed-%: pyproject.toml
	$(install)
