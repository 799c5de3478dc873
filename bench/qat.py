"""The hover policy's closed-loop cost in 8-bit formats, over the float policy's, before and after fine-tuning.

Run by `make bench-qat`; exits 1 when tuning makes it worse, or leaves it above 1.02 where it was above.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl.api import TOO_DEAR


def main() -> None:
    """One row a format."""
    policy = tinyctl.train("quadrotor").policy
    shown, missed = Table("format", "before", "after", "CPU, s", title="closed-loop cost over the policy's"), False
    for name in ("w8a8", "w8a16"):
        start = time.process_time()
        _, report = tinyctl.quantize(policy, name, plant_name="quadrotor", tune=True)
        seconds = time.process_time() - start
        before, after = report.closed_loop_cost_ratio_untuned, report.closed_loop_cost_ratio
        assert before is not None
        assert after is not None
        missed |= after > before or after > TOO_DEAR
        shown.add_row(name, f"{before:.4f}", f"{after:.4f}", f"{seconds:.0f}")
    Console().print(shown)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
