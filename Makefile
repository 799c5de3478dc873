# The commands of the README. Each does all its own set-up, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench-bits bench-certify bench-hover bench-training bench-kernels bench-emulator bench-hil bench-simulator bench-rl bench-mip size clean

demo: $(VENV)/demo.done
	$(BIN)/tinyctl demo --out build/demo

test: $(VENV)/dev.done
	$(BIN)/pytest -n 2 --dist loadgroup

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench-bits: $(VENV)/dev.done  # every target against Graph.run, 100,000 observations each
	$(BIN)/python bench/bits.py

bench-certify: $(VENV)/dev.done  # certificates against 1,000,000 perturbations of the emitted C in each format
	$(BIN)/python bench/certify.py

bench-hover: $(VENV)/dev.done  # survival and position error, 5 x 1000 episodes for each of three training seeds
	$(BIN)/python bench/hover.py

bench-training: $(VENV)/dev.done  # policies for hover and figure-eights against their bars, five training seeds each
	$(BIN)/python bench/training.py

bench-kernels: $(VENV)/dev.done  # cycles of the reference nets beside those of public tools
	$(BIN)/python bench/kernels.py

bench-emulator: $(VENV)/dev.done  # instructions a second with the cycle model, and seconds of a check
	$(BIN)/python bench/emulator.py

bench-hil: $(VENV)/dev.done  # 100,000 frames on the virtual board, as many on a damaged line, 20 flights (needs QEMU)
	$(BIN)/python bench/hil.py

bench-simulator: $(VENV)/dev.done  # steps a second of the quadrotor's kernel and its gradient, on one core and two
	$(BIN)/python bench/simulator.py

bench-rl: $(VENV)/dev.done  # Stable-Baselines3's Pendulum policy against the int16 C made of it, about two minutes
	$(BIN)/python bench/rl.py

bench-mip: $(VENV)/dev.done  # mixed-integer control over learned dynamics beside nonlinear MPC, a few minutes
	$(BIN)/python bench/mip.py

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
