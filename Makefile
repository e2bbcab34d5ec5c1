# For a newcomer: `make train` (the main job), `make test` (every check), `make quick` (a part of it),
# `make docs` (the site).

VENV ?= .venv
# labmaze has no wheels for Python 3.13. The first of these that is 3.11 or 3.12, with venv, makes the
# environment; PYTHON=/path/to/python3.12 names another. Where there is none, uv brings one.
PYTHON ?= python3 python3.12 python3.11
FOUND = $(shell for p in $(PYTHON); do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' \
	2>/dev/null && { echo $$p; break; }; done)
UV ?= $(shell PATH="$$PATH:$$HOME/.local/bin" command -v uv)
TORCH_CPU ?= https://download.pytorch.org/whl/cpu

RUN := $(VENV)/bin/python
INSTALL = $(RUN) -m pip install -qq --constraint \
	$$($(RUN) -c 'import sys; print("constraints-%d.%d.txt" % sys.version_info[:2])')
# Two processes share the tests. PyTorch's threads would wait for work on each other's cores.
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(RUN) -m pytest -n $(WORKERS) --dist worksteal
PACKAGES := agents analysis benchmarks compiled configs cpc_aux docs envs examples records studies tests train_agent.py evaluate.py episode_seeds.py
FRAMES ?= 20_000_000
SEEDS ?= 1,2,3

.PHONY: train compare test quick pytest-test pytest-quick lint types docs clean

train: $(VENV)/installed
	@echo "Trains $(FRAMES) frames: 20 million take 10 to 12 minutes on two cores of an AMD EPYC."
	@echo "Ctrl-C and the same command again continue; FRAMES=2_000_000 trains a tenth."
	$(RUN) train_agent.py env=room_watermaze aux=cpc total_frames=$(FRAMES)

compare: $(VENV)/installed
	@echo "Trains two arms with seeds $(SEEDS), $(FRAMES) frames each: at the default six runs of"
	@echo "10 to 12 minutes on two cores of an AMD EPYC. Ctrl-C and the same command continue."
	$(RUN) train_agent.py -m env=room_watermaze aux=none,cpc seed=$(SEEDS) total_frames=$(FRAMES)

# mypy runs on one core: the tests begin meanwhile.
test quick: $(VENV)/installed
	@$(MAKE) --no-print-directory --jobs 3 lint types pytest-$@

pytest-test: $(VENV)/installed
	$(PYTEST)

pytest-quick: $(VENV)/installed
	$(PYTEST) -m "not slow" --ignore tests/benchmarks --ignore-glob "$(CURDIR)/tests/test_*.py"

lint: $(VENV)/installed
	$(VENV)/bin/ruff check $(PACKAGES)
	$(VENV)/bin/ruff format --check $(PACKAGES)

types: $(VENV)/installed
	$(VENV)/bin/mypy $(PACKAGES)

docs: $(VENV)/docs_installed
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet
	@echo "The site is build/site/index.html. To read it in a browser, with its search:"
	@echo "    $(RUN) -m http.server --directory build/site"

$(VENV)/installed: pyproject.toml constraints-3.11.txt constraints-3.12.txt
	@if [ -n "$(FOUND)" ]; then \
		$(FOUND) -m venv $(VENV); \
	elif [ -n "$(UV)" ]; then \
		echo "No Python 3.11 or 3.12 with venv among: $(PYTHON)."; \
		echo "$(UV) makes $(VENV) with one, and downloads Python 3.12 (0.03 GB) if it knows none."; \
		$(UV) venv --quiet --allow-existing --seed --python 3.12 $(VENV); \
	else \
		echo "No Python 3.11 or 3.12 with venv among: $(PYTHON)."; \
		echo "Install uv, which brings one, and repeat the command:"; \
		echo "    curl -LsSf https://astral.sh/uv/install.sh | sh"; \
		echo "Or name one: make PYTHON=/path/to/python3.12"; \
		exit 1; \
	fi
	@if [ "$$(uname -s)" != Linux ]; then \
		echo "Downloads 0.5 GB of packages, less what is installed or in pip's cache."; \
	elif nvidia-smi --list-gpus >/dev/null 2>&1; then \
		echo "Downloads 2.9 GB, less what is installed or in pip's cache: PyTorch for CUDA 2.5 GB, other packages 0.4 GB."; \
	else \
		echo "Downloads 0.6 GB, less what is installed or in pip's cache: PyTorch for CPUs 0.2 GB (there is no"; \
		echo "NVIDIA GPU), other packages 0.4 GB."; \
		$(INSTALL) --no-deps --retries 1 --timeout 20 --index-url $(TORCH_CPU) torch 2>/dev/null || { \
			echo "Not so: $(TORCH_CPU) cannot be reached or has none for"; \
			echo "this machine. pip takes its default, on Linux PyTorch for CUDA, 2.5 GB."; }; \
	fi
	$(INSTALL) --editable ".[dev]"
	touch $@

$(VENV)/docs_installed: $(VENV)/installed
	$(INSTALL) --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
