# The commands of the README. Each does all its own set-up, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint size clean

demo: $(VENV)/demo.done
	$(BIN)/tinyctl demo --out build/demo

test: $(VENV)/dev.done
	$(BIN)/pytest -n 2 --dist loadgroup

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench-%: $(VENV)/dev.done  # bench/NAME.py, whose first lines say what it measures and when it fails
	$(BIN)/python bench/$*.py

size:  # lines by folder
	@git ls-files '*.py' '*.j2' '*.c' '*.h' | xargs wc -l | awk '$$2 != "total" {split($$2, p, "/"); n[p[1]] += $$1} \
	  END {for (k in n) print n[k], k}' | sort -rn

clean:
	rm -rf build $(VENV)

$(VENV)/demo.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[train,report]'
	touch $@

$(VENV)/dev.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[train,report,dev]'
	touch $@
