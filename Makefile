# The environment is made once, with the exact versions of requirements.lock (Python 3.11).
PYTHON ?= python3.11
VENV ?= .venv
READY = $(VENV)/ready

# Tests of one piece each. The others train, start processes or write much, and belong to `make test`.
SCORES = $(filter-out %_sequences.py %_additions.py %_entropy.py, $(wildcard tests/models/scores/test_*.py))
EVERYDAY = tests/config tests/data tests/encoders tests/evaluation/statistics tests/generators/reading tests/interests \
	tests/models/parts $(SCORES) tests/models/checks tests/models/test_pinned.py tests/prepare/sources \
	tests/test_links.py tests/test_rooms.py

.PHONY: run check test lint environment clean

run: $(READY)
	$(VENV)/bin/python run_recbole_sam.py --model=SAM --dataset=amazon-beauty

# Some tests wait for a server or a signal, so three share two cores. The files with most tests are not the slowest ones: started
# first, they would leave those to one process at the end.
test: $(READY)
	$(VENV)/bin/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

check: lint
	$(VENV)/bin/python -m pytest --quiet --numprocesses=2 $(EVERYDAY)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/mypy --no-error-summary

.PHONY: docs
docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

$(VENV)/docs: $(READY)
	$(VENV)/bin/python -m pip install --quiet --constraint requirements.lock --editable ".[docs]"
	touch $(VENV)/docs

environment: $(READY)

# torch first and pinned: a bare "torch" would fetch gigabytes where a CPU build is at hand.
$(READY): requirements.lock setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint requirements.lock torch
	$(VENV)/bin/python -m pip install --quiet --constraint requirements.lock --editable ".[test]"
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
