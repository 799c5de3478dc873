"""64-64 ReLU policies that hover the quadrotor: closed-loop cost with all of their ReLUs and with a quarter of them.

Run by `make bench-sparsify`; exits 1 when a quarter of the ReLUs costs more than 5 % for any training seed. With
`--cycles N` the budget is that of the Crazyflie instead.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl.policy import Policy
from tinyctl.trainers import imitate

KEEP, MOST = 0.25, 1.05
PLANT = tinyctl.plant("quadrotor")


def main() -> int:
    """Train a teacher, its ReLU pupil, and the sparse one; one row each for the last two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the training")
    parser.add_argument("--cycles", type=int, help="of a step on the Crazyflie, in place of a quarter of the ReLUs")
    asked = parser.parse_args()
    shown = Table("seed", "ReLUs", "lines", "off", "products", "cycles", "closed-loop cost", "over the dense one's")
    met = True
    for seed in asked.seeds:
        keep = KEEP if asked.cycles is None else None
        _, report = tinyctl.sparsify(pupil(seed), keep=keep, cycles=asked.cycles, plant_name=PLANT, seed=seed)
        assert report.cost_before is not None
        assert report.cost_after is not None
        ratio = report.cost_after / report.cost_before
        met &= ratio <= MOST and (asked.cycles is not None or report.relus_after <= KEEP * report.relus_before)
        shown.add_row(f"{seed}", f"{report.relus_before}", "0", "0", f"{report.products_before}",
                      f"{report.cycles_before or ''}", f"{report.cost_before:.4f}", "")  # fmt: skip
        shown.add_row("", f"{report.relus_after}", f"{report.lines}", f"{report.off}", f"{report.products_after}",
                      f"{report.cycles_after or ''}", f"{report.cost_after:.4f}", f"{ratio:.4f}")  # fmt: skip
    Console().print(shown)
    print(f"at most {MOST:g} of the dense policy's cost for every seed: {'met' if met else 'missed'}")
    return 0 if met else 1


def pupil(seed: int) -> Policy:
    """A 64-64 ReLU policy that imitates one of the analytic policy gradient."""
    with tempfile.TemporaryDirectory() as folder:
        teacher = Path(folder) / "teacher.tctl"
        tinyctl.save(tinyctl.train(PLANT, seed=seed).policy, teacher)
        config = imitate.Config(teacher=str(teacher), activation="relu", rounds=4)
        return tinyctl.train(PLANT, algo="imitate", config=config, seed=seed).policy


if __name__ == "__main__":
    sys.exit(main())
