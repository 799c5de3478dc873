"""`tinyctl compare`: which controller is better, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tinyctl.adastop import Plan, State
from tinyctl.cli.base import Json, Seed, as_json, people, results, write_json
from tinyctl.comparison import Comparison, compare, read_runs
from tinyctl.errors import TinyctlError
from tinyctl.sequential import SequentialTest, resume
from tinyctl.statistics import LEAST_RUNS, Interval


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
    sequential: Annotated[
        Path | None,
        typer.Option(help="Test round by round as the folders grow, and stop when it is clear; kept in this file."),
    ] = None,
    round_runs: Annotated[int, typer.Option(help="Runs of each controller a round.", min=LEAST_RUNS)] = LEAST_RUNS,
    rounds: Annotated[int, typer.Option(help="At most so many rounds.", min=1)] = 5,
    level: Annotated[float, typer.Option(help="Chance of telling any equal controllers apart.")] = 0.05,
    out: Annotated[Path | None, typer.Option(help="Write the comparison as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Compare the runs of controllers: interquartile means, probability of improvement, with 95 % intervals.

    With --sequential the exit status is 1 while more runs are needed.
    """
    if len(sources) < 2:
        raise TinyctlError("there is nothing to compare with", fix="give at least two folders of flight reports")
    direction = figure == "survived" if larger is None else larger
    if sequential is not None:
        plan = Plan(round_runs, rounds, level, seed=seed)
        _sequential(resume(sequential, sources, figure, larger_is_better=direction, plan=plan), out, as_object)
    found = compare([read_runs(s, figure) for s in sources], figure, larger_is_better=direction, seed=seed)
    if out is not None:
        write_json(out, found.to_json())
    if any(i.narrow for i in found.means.values()):
        people.print("[yellow]fewer than 30 runs: the intervals are too narrow (about 0.9 in place of 0.95 at five)[/]")
    if as_object:
        print(as_json(found.to_json()))
    else:
        _print(found)


def _sequential(test: SequentialTest, out: Path | None, as_object: bool) -> None:
    """Tell where the test stands, and end."""
    state = test.state()
    told = test.verdict(state)
    if out is not None:
        write_json(out, told)
    if as_object:
        print(as_json(told))
    else:
        _print_test(test, state)
    raise typer.Exit(1 if state.open() else 0)


def _print_test(test: SequentialTest, state: State) -> None:
    names = test.names()
    shown = Table("", "", "", title=f"Round {state.rounds} of {test.plan.rounds}, {escape(test.figure)}",
                  title_justify="left", show_header=False)  # fmt: skip
    for (i, j), sign in state.signs.items():
        first, second = (names[j], names[i]) if sign < 0 else (names[i], names[j])
        shown.add_row(escape(first), "is better than" if sign else "no difference found to", escape(second))
    for i, j in state.open():
        shown.add_row(escape(names[i]), "not clear yet", escape(names[j]))
    results.print(shown)
    wanted = [f"{count} more of {escape(name)}" for name, count in test.wanted(state).items() if count]
    results.print(f"run {', '.join(wanted)}" if wanted else "stop: no more runs are needed")
    people.print(
        f"The chance that controllers which are equal are called different is at most {test.plan.level:.0%} over all "
        "pairs; which of two is the better is read off the sign, and the error of that is not controlled.", style="dim"
    )  # fmt: skip


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
