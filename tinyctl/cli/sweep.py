"""`tinyctl sweep`: settings, architectures and formats searched; what is cheap in flight, cycles and flash."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from tinyctl.cli.base import Json, as_json, progress, results, write_json
from tinyctl.files import write_atomically

if TYPE_CHECKING:
    from tinyctl.search import Side
    from tinyctl.sweep import Figures, Sweep


def command(
    file: Annotated[Path, typer.Argument(help="The sweep.")] = Path("sweep.toml"),
    out: Annotated[Path | None, typer.Option(help="Folder of the sweep, in place of the file's.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that work at once.", min=1)] = 1,
    ray: Annotated[
        str | None, typer.Option(help="Work on a Ray cluster instead: its HOST:PORT, auto (the one here) or local.")
    ] = None,
    as_object: Json = False,
) -> None:
    """Search settings and formats for closed-loop cost, cycles and flash, beside random search. Resumes when killed."""
    from tinyctl.search import run_sweep
    from tinyctl.sweep import Range, load_sweep
    from tinyctl.sweep_plot import plot

    sweep = load_sweep(file)
    if out is not None:
        sweep = replace(sweep, out=str(out))
    with progress("Sweep", as_object) as update:
        sides = run_sweep(sweep, workers=workers, ray=ray, tell=update)
    record, folder = sweep_record(sweep, sides), Path(sweep.out)
    write_json(folder / "sweep.json", record)
    write_atomically(folder / "front.svg", plot(sides))
    if as_object:
        print(as_json(record))
        return
    searched = [k for k, setting in sweep.space().items() if isinstance(setting, Range) or len(setting.values) > 1]
    for name, side in sides.items():
        results.print(_table(name, side, searched))
    results.print(escape(f"{folder / 'sweep.json'}, {folder / 'front.svg'}"), soft_wrap=True)


def sweep_record(sweep: Sweep, sides: dict[str, Side]) -> dict[str, Any]:
    """The sweep's JSON: every trial of both sides, and the numbers of those on their fronts."""
    return {
        "schema": 1,
        "sweep": {key: value for key, value in asdict(sweep).items() if key != "out"},
        "sides": {
            name: {
                "trials": [asdict(trial) for trial in side.trials],
                "front": [trial.number for trial in side.front],
                "covered": side.covered,
            }
            for name, side in sides.items()
        },
    }


def _table(name: str, side: Side, searched: list[str]) -> Table:
    """A front: what to choose of what was searched, and how it did with the tuning and the test seeds."""
    caption = f"{len(side.trials)} trials; as good as {side.covered:.0%} of the other front, or better"
    made = Table(title=f"Pareto front of {name}", title_justify="left", caption=caption, caption_justify="left")
    made.add_column("trial", justify="right")
    made.add_column("settings", overflow="fold")
    for heading in ("cost", "test cost", "cycles", "test cycles", "flash, B"):
        made.add_column(heading, justify="right")
    for trial in side.front:
        settings = " ".join(f"{key}={_short(trial.settings[key])}" for key in searched)
        figures, test = _cells(trial.figures), _cells(trial.test)
        made.add_row(str(trial.number), escape(settings), figures[0], test[0], figures[1], test[1], figures[2])
    return made


def _short(value: str) -> str:
    """A setting for people: four digits of a fraction, no comma at a list's end."""
    if value.isdigit():
        return value
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value.rstrip(",")


def _cells(figures: Figures | str | None) -> tuple[str, str, str]:
    if figures is None or isinstance(figures, str):
        return "failed", "failed", "failed"
    return f"{figures.cost:.4g}", f"{figures.cycles:,}", f"{figures.flash_bytes:,}"
