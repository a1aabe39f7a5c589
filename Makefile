# One file of targets; each explains itself in `make help`.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8501
DEVICE ?= cuda

BIN := $(VENV)/bin
RUN_READY := $(VENV)/.requirements
DEV_READY := $(VENV)/.requirements-dev

DOCS := build/docs
PARALLEL := --numprocesses auto --dist worksteal
# Without a browser tests wait for processes a third of their time: one more than there are cores.
WAITING := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
PUBLIC := vae_core $(patsubst vae_core/%/__init__.py,vae_core.%,$(wildcard vae_core/*/__init__.py))

.DEFAULT_GOAL := help
.PHONY: help run check test test-gpu lint js docs format bench wheel clean

help: ## Show this list
	@echo "Usage: make TARGET [PYTHON=python3] [VENV=.venv] [PORT=8501]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_READY) ## Make a virtual environment, install what the app needs, start it
	$(BIN)/streamlit run streamlit_app.py --server.port $(PORT)

check: lint js ## Style, types, and the tests that need neither a browser nor a training: two minutes
	$(BIN)/python -m pytest --ignore tests/browser -m "not training" $(PARALLEL)

test: $(DEV_READY) ## Make the environment with what the tests need; run every test
	$(BIN)/python -m pytest --ignore tests/browser $(PARALLEL) --numprocesses $(WAITING)
	$(BIN)/python -m pytest tests/browser $(PARALLEL)

test-gpu: $(DEV_READY) ## Every family on a GPU, and images/s beside rivals (DEVICE=cpu: tiny, no figures)
	$(BIN)/python -m benchmarks.gpu --device $(DEVICE)

lint: $(DEV_READY) ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

js: node_modules/.package-lock.json ## Check the JavaScript: style, types and unit tests (needs Node)
	npm run --silent check

docs: $(DEV_READY) ## Build the reference of vae_core from its docstrings into build/docs
	$(BIN)/python -W "error:Couldn't import" -W "error:Found '" -m pdoc --docformat google \
		--output-directory $(DOCS) $(PUBLIC)

format: $(DEV_READY) ## Put imports and layout in order
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

bench: $(DEV_READY) ## Measure speed into build/benchmarks.html: half an hour, needs MNIST (BENCH=--quick: minutes)
	$(BIN)/python -m benchmarks.report $(BENCH)

wheel: $(DEV_READY) ## Build the package that pip installs, into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove the virtual environment, what was built and caches; runs and data stay
	rm -rf $(VENV) node_modules build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis

# The stamps are younger than the requirements they were installed from, so that nothing is
# installed twice. They are written last: an interrupted installation starts again.
$(RUN_READY): requirements.txt requirements.lock
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name it: make run PYTHON=..."; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed and $(PYTHON) is older. Name another: make run PYTHON=python3.12"; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt -c requirements.lock
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --silent --no-audit --no-fund
	@touch $@

$(DEV_READY): $(RUN_READY) requirements-dev.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt -c requirements.lock
	@touch $@
