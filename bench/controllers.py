"""Controllers with memory and structure, each held to its bar: one line a figure. Run by `make bench-controllers`.

    python bench/controllers.py [--rows s5 reservoir] [--again]

A row is a file of `bench/controller_rows`. Long trainings are kept in `build/bench-controllers` under a hash of the
settings and the sources that they depend on; `--again` does them once more. Exits 1 when a figure misses its bar.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from controller_rows import KEPT, rows  # noqa: E402


def main() -> None:
    """Print the rows that were asked for, all by default."""
    known = rows()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=known, default=list(known), help="which controllers")
    parser.add_argument("--again", action="store_true", help="train once more what was kept")
    asked = parser.parse_args()
    if asked.again:
        shutil.rmtree(KEPT, ignore_errors=True)
    shown, missed = Table("controller", "figure", "measured", "bar", ""), False
    console = Console(stderr=True)
    for name in asked.rows:
        console.print(f"{name} ...")
        for figure in known[name]():
            missed |= figure.met is False
            verdict = {True: "met", False: "missed", None: ""}[figure.met]
            shown.add_row(name, figure.what, figure.measured, figure.bar, verdict)
            console.print(f"  {figure.what}: {figure.measured} {verdict}")
    Console().print(shown)
    sys.exit(missed)


if __name__ == "__main__":
    main()
