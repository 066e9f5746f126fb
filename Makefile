# Two commands on a fresh machine with Python 3.11 or later: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
R1_ZERO_RUN ?= runs/r1_zero
CORE := $(VENV)/.core-installed
DEV := $(VENV)/.dev-installed


.PHONY: demo r1-zero test test-slow check clean

demo: $(CORE)  ## the whole recipe on the tiny world, R1-Zero to distillation, then its report
	$(BIN)/r1 run recipes/tiny/r1.toml --out $(RUN)
	$(BIN)/r1 report $(RUN)

r1-zero: $(CORE)  ## R1-Zero alone, longer and on harder problems, then its report
	$(BIN)/r1 run recipes/tiny/r1_zero.toml --out $(R1_ZERO_RUN)
	$(BIN)/r1 report $(R1_ZERO_RUN)

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
