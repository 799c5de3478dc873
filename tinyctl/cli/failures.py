"""`tinyctl failures`: how often a controller fails where that is rare, with its float policy as control variate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tinyctl import api
from tinyctl.cli.base import (
    BoardName,
    Json,
    Seed,
    Task,
    ToolchainName,
    as_json,
    people,
    progress,
    results,
    table,
    write_json,
)
from tinyctl.cli.fly import predicted_delay_s
from tinyctl.run_record import Call

if TYPE_CHECKING:
    from tinyctl.failures import FailureReport
    from tinyctl.sims.loop import Estimate


def command(
    source: Annotated[Path, typer.Argument(help="The controller: a graph, an emitted folder, or an image (.elf).")],
    twin: Annotated[Path, typer.Argument(help="The float policy (.tctl) that it was made from.")],
    plant: Annotated[str, typer.Option(help="Name of a plant, or path of a Python file.")] = "quadrotor",
    task: Task = None,
    on: Annotated[
        Literal["graph", "c", "emulator"],
        typer.Option(help="The NumPy definition, the C on the host, or the ARM image in the emulator."),
    ] = "c",
    board: BoardName = api.DEFAULT_BOARD,
    toolchain: ToolchainName = None,
    episodes: Annotated[
        int, typer.Option(min=4, max=1_000_000, help="Flights of the controller, and the twin.")
    ] = 1000,
    twin_episodes: Annotated[int, typer.Option(min=4, max=10_000_000, help="Further flights of the twin.")] = 50_000,
    seed: Seed = 0,
    delay_us: Annotated[
        float | None, typer.Option(help="Delay of the action; by default the predicted worst on the board.", min=0)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Estimate a failure rate from few flights of a controller and many of its twin's."""
    call = Call.of("failures", locals())
    delay_s = predicted_delay_s(source, board, toolchain) if delay_us is None else delay_us * 1e-6
    with progress(f"Flying {episodes + twin_episodes} episodes of the twin", as_object) as update:
        report = api.failures(
            source, twin, plant, task, on=on, episodes=episodes, twin_episodes=twin_episodes, seed=seed,
            delay_s=delay_s, board=board, toolchain=toolchain, progress=update,
        )  # fmt: skip
    if out is not None:
        write_json(out, report.to_json())
    call.write(report.to_json(), out)
    if as_object:
        print(as_json(report.to_json()))
    else:
        results.print(table(f"Failures on {on}", _summary(report)))
        if report.rate.failed == 0:
            people.print("[yellow]nothing failed in the common flights: fly more, or a harder task[/]")


def _summary(report: FailureReport) -> list[tuple[str, str]]:
    rate, n = report.rate, report.episodes
    cut = "not known: the controller never failed" if rate.reduction is None else f"{rate.reduction:.1f} times less"
    return [
        ("failure rate", _told(rate.controlled)),
        (f"of {n:,} flights alone", _told(rate.plain)),
        (f"twin, {report.twin_episodes:,} flights", _told(rate.twin)),
        ("variance", cut),
        ("control variate", f"{rate.disagreed} of {rate.failed} failing flights by one of the two only; "
                            f"coefficient {rate.coefficient:.3f}"),
    ]  # fmt: skip


def _told(rate: Estimate) -> str:
    return f"{rate.value:.4%} ({rate.low:.4%} to {rate.high:.4%})"
