# Each target works from a clean clone with nothing but Python >= 3.11 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=

.PHONY: install demo dev test lint bench lock clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("cpjump needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP)          ## the main job on the simulated gallery, in ./demo
	$(BIN)/cpjump demo $(ARGS)

dev: $(STAMP)           ## the web UI on 127.0.0.1:3000; ARGS=--demo shows what `make demo` made
	$(BIN)/cpjump ui $(ARGS)

# In small portions, so that one worker does not get all the slow tests; one worker more than there are processors,
# because tests of servers and daemons wait.
test: $(STAMP)
	$(BIN)/python -m pytest -n $$($(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)') \
	  --maxschedchunk 24 $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)         ## ours against the peers, on the same arrays, in one run
	$(BIN)/python -m benchmarks

lock:                   ## resolve requirements.lock again (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --quiet \
	  --custom-compile-command "make lock" pyproject.toml --all-extras --group test --group bench --group lint --group build -o requirements.lock

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
