"""The frequency-averaged score of a policy of sequences on the pendulum's swing-up, beside a plain one that repeats.

Run by `make bench-fas`; exits 1 when the sequences do not score higher with every seed, or are worse at full rate.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Column, Table

import tinyctl
from tinyctl import api, frequency
from tinyctl.trainers.apg import Config

ITERATIONS, LENGTH = 300, 30
INTERVALS = (1, 2, 4, 8, 16, 30)
ALLOWED = 0.01  # of the return at full rate


def main() -> None:
    """Train both with each seed; a row each with its returns at some intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plant", default="pendulum")
    parser.add_argument("--seeds", type=int, nargs="*", default=(0, 1, 2))
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    parser.add_argument("--episodes", type=int, default=100)
    asked = parser.parse_args()
    shown = Table("seed", Column("policy", no_wrap=True), *(f"at {s}" for s in INTERVALS), "score")
    good = True
    for seed in asked.seeds:
        plain = Config(iterations=asked.iterations)
        made = Config(iterations=asked.iterations, decide_every=4, sequence=LENGTH, intervals=INTERVALS)
        sequence, repeating = (tinyctl.train(asked.plant, config=c, seed=seed).policy for c in (made, plain))
        found = api.frequency(sequence, asked.plant, beside=repeating, episodes=asked.episodes, seed=1000)
        for row in found.rows:
            returns = dict(zip(frequency.INTERVALS, row.returns, strict=True))
            shown.add_row(str(seed), row.name, *(f"{returns[s]:.3f}" for s in INTERVALS), f"{row.score:.4f}")
        own, *_, beside = found.rows
        good &= own.score > beside.score and own.returns[0] >= beside.returns[0] - ALLOWED
    Console().print(shown)
    print("a perfect policy scores 29/30 = 0.9667; sequences must score higher than repeated actions with every seed")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
