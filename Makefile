# Every target makes its own .venv from the lock file first; nothing else has to be installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SECONDS ?= 120
HOURS ?= 1

.PHONY: install demo run test check format docs bench torture soak lock clean

install: $(INSTALLED)

$(INSTALLED): requirements.lock requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "SGNL needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $(INSTALLED)

demo: $(INSTALLED)  ## the bot's main job on the embedded market, nothing configured
	$(BIN)/python -m bot demo --seconds $(SECONDS)

run: $(INSTALLED)  ## the same bot on the live venues, with your .env
	$(BIN)/python -m bot run

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 0 -m alone
	$(BIN)/python -m pytest -m "not alone"

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(INSTALLED)  ## after a change of a setting: .env.example and the README's table
	$(BIN)/python -m tests.make_docs

bench: $(INSTALLED)
	$(BIN)/python -m tests.bench

torture: $(INSTALLED)  ## the long versions of the suite's chaos; each writes its result into docs/
	$(BIN)/python -m tests.torture
	$(BIN)/python -m tests.torture.kill
	$(BIN)/python -m tests.torture.telegram
	$(BIN)/python -m tests.torture.mysql
	$(BIN)/python -m tests.torture.exits
	$(BIN)/python -m tests.torture.tape
	$(BIN)/python -m tests.torture.evidence

soak: $(INSTALLED)  ## does a bot that runs for long grow? `make soak HOURS=24 SOAK=--virtual` on a virtual clock
	$(BIN)/python -m tests.soak --hours $(HOURS) $(SOAK)

lock: $(INSTALLED)  ## after a change of dependencies in pyproject.toml
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
