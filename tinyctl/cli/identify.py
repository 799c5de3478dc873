"""`tinyctl identify`: a plant's parameters from a recorded flight."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import Json, Task, as_json, people, progress, results, table
from tinyctl.crazyflie_log import is_crazyflie_log, read_crazyflie_log
from tinyctl.errors import TinyctlError
from tinyctl.recording import read_recording


def command(
    log: Annotated[Path, typer.Argument(help="A recording (.csv or .mcap), or a Crazyflie client's log.")],
    plant: Annotated[str, typer.Option(help="Name of a plant, or path of a Python file.")] = "quadrotor",
    task: Task = None,
    fix: Annotated[list[str] | None, typer.Option(help="A parameter that is known.", metavar="NAME=VALUE")] = None,
    added: Annotated[
        list[str] | None,
        typer.Option(help="By how much a parameter is larger in an episode.", metavar="EPISODE:NAME=VALUE"),
    ] = None,
    as_object: Json = False,
) -> None:
    """Fit a plant's parameters, the delay and constant disturbances to a flight, with standard errors."""
    from tinyctl.sims.identification import identify

    which = api.plant(plant)
    chosen = which.task(task)
    loads: dict[int, dict[str, float]] = {}
    for text in added or ():
        episode, _, rest = text.partition(":")
        if not episode.isdecimal():
            raise TinyctlError(f"--added {text!r:.60} is not EPISODE:NAME=VALUE")
        loads.setdefault(int(episode), {}).update([_pair(rest)])
    if is_crazyflie_log(log):
        episodes = read_crazyflie_log(log, chosen.contract)
    else:
        episodes = read_recording(log, chosen.contract).episodes
    with progress("Fitting", as_object) as update:
        found = identify(which, chosen, episodes, fixed=dict(map(_pair, fix or ())), added=loads, progress=update)
    if as_object:
        print(as_json({"schema": 1, **asdict(found), "warnings": found.warnings()}))
        return
    rows = []
    for q in (*found.parameters, found.delay):
        error = "given" if q.error is None else f"+- {q.error:.2g}"
        rows.append((q.name, f"{q.value:.5g} {error} {q.unit} (was {q.nominal:.5g})"))
    results.print(table(f"{found.plant} from {found.samples:,} samples", rows))
    for warning in found.warnings():
        people.print(f"[yellow]warning:[/] {warning}")


def _pair(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise TinyctlError(f"{text!r:.60} is not NAME=VALUE") from None
