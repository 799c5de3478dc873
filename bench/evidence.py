"""Whether intervals cover what they claim: 1000 repeats of an experiment whose truth is known, for each number of runs.
Run by `make bench-evidence`; exits 1 when 30 runs and more are not covered within 93 to 97 %.
"""

from __future__ import annotations

import sys

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tinyctl.statistics import FEW_RUNS, Array, bootstrap, iqm

REPEATS, RUNS = 1000, (5, 10, 30, 50)
DRAWN = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: rng.lognormal(0.0, 0.5, shape),
}


def main() -> int:
    """Print one row a number of runs and kind of score."""
    shown, missed = Table("runs", "scores", "covered, %", "claimed"), False
    for kind, draw in DRAWN.items():
        truth = iqm(draw(np.random.default_rng(0), (1_000_000, 1)))
        for runs in RUNS:
            repeats = track(range(REPEATS), f"{kind}, {runs} runs", console=Console(stderr=True))
            covered = np.mean([covers(draw(np.random.default_rng([runs, k]), (runs, 1)), truth, k) for k in repeats])
            narrow = runs < FEW_RUNS
            missed |= not narrow and not 0.93 <= covered <= 0.97
            shown.add_row(str(runs), kind, f"{100 * covered:.1f}", "too narrow, and said so" if narrow else "93 to 97")
    Console().print(shown)
    return int(missed)


def covers(scores: Array, truth: float, seed: int) -> bool:
    interval = bootstrap(iqm, scores, seed=seed, resamples=1000)
    return interval.low <= truth <= interval.high


if __name__ == "__main__":
    sys.exit(main())
