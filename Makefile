# make demo and make test each do all set-up (a virtual environment in .venv), and then their work.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
RUN := runs/demo-$(shell date +%Y%m%d-%H%M%S)

.PHONY: demo test check format clean

demo: $(VENV)/core.stamp  ## pretrain on generated scenes, evaluate, and write the report
	$(BIN)/pairlens train scenes --out $(RUN)
	$(BIN)/pairlens evaluate $(RUN)

test: check  ## everything that CI runs
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/test.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch first and by itself, pinned: a later package's looser request must not fetch another build of it.
$(VENV)/core.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$(TORCH)" -e ".[scenes]"
	touch $@

$(VENV)/test.stamp: $(VENV)/core.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$(TORCH)" -e ".[test]"
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
