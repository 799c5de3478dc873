"""A 64-64 ReLU policy that hovers the quadrotor, and how many of its ReLUs it needs: closed-loop cost before and after.

Run by `make bench-sparsify`; exits 1 when a quarter of the ReLUs costs more than 5 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl.trainers import imitate

KEEP, MOST = 0.25, 1.05


def main() -> None:
    """Train a teacher, its ReLU pupil, and the sparse one; one row each for the last two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=float, default=KEEP)
    asked = parser.parse_args()
    plant = tinyctl.plant("quadrotor")
    with tempfile.TemporaryDirectory() as folder:
        teacher = Path(folder) / "teacher.tctl"
        tinyctl.save(tinyctl.train(plant, seed=asked.seed).policy, teacher)
        config = imitate.Config(teacher=str(teacher), activation="relu", rounds=4)
        pupil = tinyctl.train(plant, algo="imitate", config=config, seed=asked.seed)
    _, report = tinyctl.sparsify(pupil.policy, keep=asked.keep, plant_name=plant, seed=asked.seed)
    shown = Table("policy", "ReLUs", "lines", "off", "products", "closed-loop cost")
    shown.add_row("dense", f"{report.relus_before}", "0", "0", f"{report.products_before}", f"{report.cost_before:.4f}")
    shown.add_row("sparse", f"{report.relus_after}", f"{report.lines}", f"{report.off}", f"{report.products_after}",
                  f"{report.cost_after:.4f}")  # fmt: skip
    Console().print(shown)
    ratio, share = report.cost_after / report.cost_before, report.relus_after / report.relus_before
    print(f"{1 - share:.0%} of the ReLUs removed, at least {1 - KEEP:.0%} asked; cost {ratio - 1:+.1%}, allowed +5%")
    sys.exit(0 if ratio <= MOST and share <= KEEP else 1)


if __name__ == "__main__":
    main()
