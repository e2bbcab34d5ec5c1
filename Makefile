# Two commands for a newcomer: `make train` (the main job) and `make test` (every check).

VENV ?= .venv
# labmaze has no wheels for Python 3.13: take the first interpreter that is 3.11 or 3.12.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' \
	2>/dev/null && { echo $$p; break; }; done)
RUN := $(VENV)/bin/python
PACKAGES := agents analysis configs cpc_aux envs benchmarks tests train_agent.py evaluate.py kernels.py simd.py whole_files.py
FRAMES ?= 20_000_000
SEEDS ?= 1,2,3

.PHONY: train compare test clean

train: $(VENV)/installed
	@echo "Trains $(FRAMES) frames: 20 million take 15 to 40 minutes on two cores. Ctrl-C and"
	@echo "the same command again continue; FRAMES=2_000_000 makes it ten times shorter."
	$(RUN) train_agent.py env=room_watermaze aux=cpc total_frames=$(FRAMES)

compare: $(VENV)/installed
	@echo "Trains two arms with seeds $(SEEDS), $(FRAMES) frames each: at the default two to four"
	@echo "hours on two cores. Ctrl-C and the same command again continue."
	$(RUN) train_agent.py -m env=room_watermaze aux=none,cpc seed=$(SEEDS) total_frames=$(FRAMES)

test: $(VENV)/installed
	$(VENV)/bin/ruff check $(PACKAGES)
	$(VENV)/bin/ruff format --check $(PACKAGES)
	$(VENV)/bin/mypy $(PACKAGES)
	$(RUN) -m pytest

$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
