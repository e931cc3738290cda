# make run    classify the document in test_input.json, on any machine
# make test   the gate: ruff, mypy, pytest
# make check  the gate without the tests
# make venv   only install
# make bench  measure; figures go to bench/results/
# make embedded  train the embedded model anew
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check venv bench embedded clean
.DELETE_ON_ERROR:

run: $(VENV)/.run
	$(BIN)/python handler.py

test: check
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

venv: $(VENV)/.run

bench: $(VENV)/.dev
	$(BIN)/python bench/peers.py --json

# Re-makes the embedded model: some 90 minutes on 2 cores, or with
#   TRAIN="--device cuda --producers 14 --scale 4 --minutes 8.3"
# a better one on a large GPU. INTENTS is support-intents/train.jsonl.
INTENTS ?= ../shared/data/support-intents/train.jsonl
TRAIN ?=
embedded: $(VENV)/.dev
	$(BIN)/python -m training.train --intents $(INTENTS) --out runs/embedded $(TRAIN)
	$(BIN)/python -m pinpoint quantize --overwrite runs/embedded/checkpoint src/pinpoint/embedded
	$(BIN)/python -m training.measure --intents $(INTENTS)

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch by itself and first, so that no other package chooses its build.
$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
