# Everything a fresh machine needs: Python 3.11 or later, make, and these targets.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test check format sdks cases bench fuzz soak clean

help:
	@echo "make run     install, start the server, place a call between simulated phones, keep serving"
	@echo "make test    install what the tests need, run the checks and all tests"
	@echo "make check   linters, types, layers"
	@echo "make sdks    install the SignalWire SDKs that the tests run against the server (needs npm)"
	@echo "make cases   the behavioural cases by their ids: passed or not, and what was observed"
	@echo "make bench   what a call and a relayed packet cost on this machine (needs SIPp)"
	@echo "make fuzz    half an hour of coverage-guided fuzzing of all that reads what others write"
	@echo "make soak    2,000 calls with failures, kills and a failing receiver"

.venv/run.stamp: pyproject.toml constraints.txt setup.py src/cordboard/media/_fastpath.c
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cordboard needs Python 3.11 or later; set PYTHON=...")'
	@echo "installing Cordboard into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) --editable '.[speech]'
	@touch $@

.venv/dev.stamp: .venv/run.stamp
	@echo "installing what the tests need"
	@$(PIP) --editable '.[dev,speech]'
	@touch $@

run: .venv/run.stamp
	$(BIN)/cordboard run examples/single.yaml

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

sdks:
	@tests/e2e/sdk/install "$(PYTHON)"

cases: .venv/dev.stamp
	$(BIN)/python -m pytest --cases --numprocesses auto --dist loadfile tests

bench: .venv/dev.stamp
	$(BIN)/python -m bench

fuzz: .venv/dev.stamp
	@$(PIP) --editable '.[fuzz]'
	$(BIN)/python -m fuzz

soak: .venv/dev.stamp
	$(BIN)/python -m pytest -m soak -s tests

clean:
	rm -rf .venv .sdks build dist *.egg-info src/cordboard/media/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
