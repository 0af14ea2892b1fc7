# make demo: the whole story on a simulated fleet · make test · make check: everything a change must pass
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Processes of tests: one more than most cores here, since many tests wait for a clock.
AT_ONCE ?= 3

.PHONY: demo test test-newest test-quick check lint format types layers bench simulate prove lock clean

demo: $(READY)
	@$(BIN)/python examples/cold-chain/demo.py

test: $(READY)
	@$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadgroup

# The suite once more, with the newest releases that pyproject.toml allows.
NEWEST := .venv-newest
test-newest:
	@$(PYTHON) -m venv $(NEWEST)
	@$(NEWEST)/bin/python -m pip install -q --disable-pip-version-check --upgrade --upgrade-strategy eager -e '.[dev]'
	@$(NEWEST)/bin/python -m pytest -n $(AT_ONCE) --dist loadgroup

# The parts that run no command, on another interpreter: make test-quick PYTHON=python3.13
QUICK := tests/core tests/config tests/render tests/backends tests/secrets tests/planfile
test-quick: OTHER := .venv-$(notdir $(PYTHON))
test-quick:
	@$(PYTHON) -m venv $(OTHER)
	@$(OTHER)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(OTHER)/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(OTHER)/bin/python -m pytest -n $(AT_ONCE) --dist loadgroup $(QUICK)

check: lint types layers test

lint: $(READY)
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: $(READY)
	@$(BIN)/mypy

layers: $(READY)
	@$(BIN)/python -m pytest tests/test_layers.py

bench: $(READY)
	@$(BIN)/python -m benchmarks

# Random histories of trackers: make simulate [HISTORIES=3000] [SEED=0]
HISTORIES ?= 3000
SEED ?= 0
simulate: $(READY)
	@$(BIN)/python -m benchmarks.simulate --histories $(HISTORIES) --seed $(SEED)

# A shared state under kills of applies and of its server, and what it costs: needs PostgreSQL, takes a quarter of an hour
prove: $(READY)
	@$(BIN)/python -m benchmarks.prove

# Hashes of every release that may be installed; a lock names packages, never the host that they come from.
lock: $(READY)
	@$(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--extra dev -o requirements.lock pyproject.toml

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) .venv-* .demo
