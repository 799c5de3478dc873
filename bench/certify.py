"""Certificates against the emitted C: perturbations at random and along the steepest slopes, for every number format.

    python bench/certify.py [--count N] [--seed N]

The network has the demo's shape and random weights. Exit status 1 when one perturbation is beyond its certificate.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # the networks and the search of the tests

import networks  # noqa: E402
from attack import attack  # noqa: E402

from tinyctl.certificate import certify  # noqa: E402
from tinyctl.emitter import emit  # noqa: E402
from tinyctl.formats import FORMATS  # noqa: E402
from tinyctl.hostlib import HostController  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="perturbations for each format and reference")
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    table = Table("format", "reference", title="Certificates of the emitted C", title_justify="left")
    for heading in (
        "L",
        "found",
        "gap",
        "q",
        "q unsaturated",
        "perturbations",
        "violations",
        "bound / worst",
        "q / worst",
    ):
        table.add_column(heading, justify="right")
    violations = 0
    policy = networks.demo_size(options.seed)
    for format_name in FORMATS:
        graph = networks.in_format(policy, format_name)
        with tempfile.TemporaryDirectory() as scratch:
            emit(graph, Path(scratch))
            controller = HostController(Path(scratch))
        for original in (None, policy):
            made = certify(graph, original, options.seed)
            found = attack(made, graph, original or graph, controller, options.count, options.seed)
            violations += found.violations
            table.add_row(
                format_name,
                made.reference,
                f"{made.lipschitz:.3f}",
                f"{made.lipschitz_found:.3f}",
                f"{made.lipschitz / made.lipschitz_found:.2f}",
                f"{made.error:.3g}",
                f"{made.error_unsaturated:.3g}",
                f"{found.perturbations:,}",
                f"{found.violations:,}",
                f"{1 / found.worst:.1f}",
                f"{1 / found.worst_error:.1f}",
            )
    Console(width=160).print(table)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
