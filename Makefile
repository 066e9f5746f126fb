# Two commands on a fresh machine with Python 3.11 or later: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
RECIPE_RUN ?= runs/r1
CORE := $(VENV)/.core-installed
DEV := $(VENV)/.dev-installed


.PHONY: demo r1 test test-slow check clean

demo: $(CORE)  ## R1-Zero on the tiny world, then its report
	$(BIN)/r1 run recipes/tiny/r1_zero.toml --out $(RUN)
	$(BIN)/r1 report $(RUN)

r1: $(CORE)  ## the whole recipe on the tiny world, R1-Zero to distillation, then its report
	$(BIN)/r1 run recipes/tiny/r1.toml --out $(RECIPE_RUN)
	$(BIN)/r1 report $(RECIPE_RUN)

test: $(DEV)  ## the default test suite, under five minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(PYTEST_ARGS)

test-slow: $(DEV)  ## the tests that take longer
	$(BIN)/python -m pytest -m slow

check: $(DEV)  ## format, lint, types, tests
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(MAKE) test

$(CORE): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $(CORE)

$(DEV): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --editable ".[languages]" || echo "pycld2 needs a C++ compiler; its tests are skipped"
	touch $(CORE) $(DEV)

clean:
	rm -rf $(VENV) runs
