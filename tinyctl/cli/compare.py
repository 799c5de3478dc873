"""`tinyctl compare`: which controller is better, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tinyctl.cli.base import Json, Seed, as_json, people, results, write_json
from tinyctl.comparison import Comparison, compare, read_runs
from tinyctl.errors import TinyctlError
from tinyctl.statistics import Interval


def command(
    sources: Annotated[
        list[Path], typer.Argument(help="A folder of flight reports (fly --out) for each controller, one report a run.")
    ],
    figure: Annotated[str, typer.Option(help="survived, or the name of a score.")] = "survived",
    larger: Annotated[
        bool | None,
        typer.Option(
            "--larger-is-better/--smaller-is-better", help="By default larger for survived, smaller for errors."
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the comparison as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Compare the runs of controllers: interquartile means, probability of improvement, with 95 % intervals."""
    if len(sources) < 2:
        raise TinyctlError("there is nothing to compare with", fix="give at least two folders of flight reports")
    direction = figure == "survived" if larger is None else larger
    found = compare([read_runs(s, figure) for s in sources], figure, larger_is_better=direction, seed=seed)
    if out is not None:
        write_json(out, found.to_json())
    if any(i.narrow for i in found.means.values()):
        people.print("[yellow]fewer than 30 runs: the intervals are too narrow (about 0.9 in place of 0.95 at five)[/]")
    if as_object:
        print(as_json(found.to_json()))
    else:
        _print(found)


def _print(found: Comparison) -> None:
    means = Table("controller", f"{escape(found.figure)}, interquartile mean", title="Runs", title_justify="left")
    for name, mean in found.means.items():
        means.add_row(escape(name), _told(mean))
    results.print(means)
    pairs = Table("is better", "than", "probability", title="Pairs", title_justify="left")
    for pair in found.pairs:
        pairs.add_row(escape(pair.better), escape(pair.than), _told(pair.probability))
    results.print(pairs)
    results.print(f"clearly the best: {escape(found.clear)}" if found.clear else "no controller is clearly the best")


def _told(interval: Interval) -> str:
    return f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"
