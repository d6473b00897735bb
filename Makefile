# Everything starts from a fresh clone: `make demo` or `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

# First and with what it depends on: a CPU build where an index offers one, else the build that brings its CUDA packages.
TORCH := $(shell grep '^torch==' requirements.lock)

export DO_NOT_TRACK = 1
export DVC_NO_ANALYTICS = 1
export GX_ANALYTICS_ENABLED = false
export BENTOML_DO_NOT_TRACK = True

.PHONY: install demo test up down lint bench soak clean

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV), a few minutes the first time"
	$(BIN)/pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/pip check
	touch $@

demo: install
	$(BIN)/openpersonalize demo

up: install
	$(BIN)/openpersonalize up

down: install
	$(BIN)/openpersonalize down

test: install
	$(BIN)/python -m pytest -m 'not soak' -n 2 --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy pipelines bento data_checks dags plugins

bench: install
	$(BIN)/python -m tests.bench

soak: install
	$(BIN)/python -m pytest -m soak

clean:
	rm -rf $(VENV)
