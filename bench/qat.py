"""Closed-loop cost of hover policies in 8-bit formats, over the float policy's, before and after fine-tuning.

Run by `make bench-qat`; exits 1 when tuning leaves it above 1.02.
"""

from __future__ import annotations

import argparse
import sys
import time

from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl.api import TOO_DEAR


def main() -> int:
    """One row a training seed and format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the training")
    asked = parser.parse_args()
    shown, missed = Table("seed", "format", "before", "after", "plain, CPU s", "tuning, CPU s"), False
    for seed in asked.seeds:
        policy = tinyctl.train("quadrotor", seed=seed).policy
        for name in ("w8a8", "w8a16"):
            spent = []
            for tune in (False, True):
                start = time.process_time()
                _, report = tinyctl.quantize(policy, name, plant_name="quadrotor", tune=tune)
                spent.append(time.process_time() - start)
            before, after = report.closed_loop_cost_ratio_untuned, report.closed_loop_cost_ratio
            assert before is not None
            assert after is not None
            missed |= after > TOO_DEAR
            shown.add_row(
                f"{seed}", name, f"{before:.4f}", f"{after:.4f}", f"{spent[0]:.1f}", f"{spent[1] - spent[0]:.1f}"
            )
    Console().print(shown)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
