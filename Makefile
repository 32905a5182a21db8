# `make run` and `make test` need nothing but Python 3.11 to 3.13 and make; everything else goes into .venv.
# Debian and Ubuntu have ensurepip apart, in python3-venv.
USABLE := import sys, ensurepip, venv; (3, 11) <= sys.version_info < (3, 14) and print("usable")
ITSELF := import sys; print(sys.base_prefix, sys.version)
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do test "$$($$p -c '$(USABLE)' 2>/dev/null)" = usable && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: again run test coverage lint typecheck format docs docs-site notebooks bench bench-compare clean

run: $(VENV)/.installed
	$(BIN)/harness run --method chnr --noise 0.4

test: $(VENV)/.installed-for-tests
	$(BIN)/pytest -q -n 2

# Lines that no test runs in its own process; what tests start as commands does not count.
coverage: $(VENV)/.installed-for-tests
	$(BIN)/pytest -q -n 2 --cov --cov-report=term-missing:skip-covered

lint: $(VENV)/.installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

typecheck: $(VENV)/.installed-for-tests
	$(BIN)/mypy

format: $(VENV)/.installed-for-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# docs/cli.md, docs/catalogue.md and docs/python-reference.md, from the real --help, registry and functions; a test fails
# where they are stale.
docs: $(VENV)/.installed
	$(BIN)/python docs/made_pages.py docs

# The notebooks of docs/, with what they show.
notebooks: $(VENV)/.installed-for-tests
	$(BIN)/python docs/run_notebooks.py

# build/site, to be read from the disk or put on any server; a link that leads nowhere is an error.
docs-site: $(VENV)/.installed-for-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file docs/site/mkdocs.yml

# Ratios to a plain loop in the same run. Saved under .benchmarks/, numbered; `bench-compare` measures again and shows
# both, slower ones marked.
bench: $(VENV)/.installed-for-tests
	$(BIN)/pytest tests/benchmarks --benchmark-only --benchmark-autosave --benchmark-group-by=func --benchmark-columns=min,median,rounds

bench-compare: $(VENV)/.installed-for-tests
	$(BIN)/pytest tests/benchmarks --benchmark-only --benchmark-compare --benchmark-columns=min,median,rounds -q

# Made again where its Python cannot be used, or is another one than the command names.
ifneq ($(shell $(BIN)/python -c '$(USABLE)' 2>/dev/null),usable)
$(VENV)/.made: again
AGAIN := --clear
else ifneq ($(filter command environment,$(firstword $(origin PYTHON))),)
ifneq ($(shell $(PYTHON) -c '$(ITSELF)' 2>/dev/null),$(shell $(BIN)/python -c '$(ITSELF)'))
$(VENV)/.made: again
AGAIN := --clear
endif
endif

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found: install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test "$$($(PYTHON) -c '$(USABLE)' 2>/dev/null)" = usable || { echo "$(PYTHON) cannot be used: it has to be Python 3.11, 3.12 or 3.13 with venv (on Debian and Ubuntu a package of its own, python3-venv). Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(AGAIN) $(VENV)
	@touch $@

# torch comes first: the constraints pin the release that was tested, whatever its build (CPU or CUDA).
$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-for-tests: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

$(VENV)/.installed-for-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
