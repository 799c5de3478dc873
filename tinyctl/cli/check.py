"""`tinyctl check`: does it meet its deadline, and does it fit?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tinyctl import api
from tinyctl.cli.base import BoardName, Json, Seed, ToolchainName, as_json, results, table, write_json

if TYPE_CHECKING:
    from tinyctl.checker import TimingReport


def command(
    source: Annotated[Path, typer.Argument(help="A policy or graph (.tctl), an emitted folder, or an image (.elf).")],
    board: BoardName = api.DEFAULT_BOARD,
    toolchain: ToolchainName = None,
    deadline_us: Annotated[
        float | None, typer.Option(help="Deadline; the board's loop period by default.", min=0)
    ] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Predict cycles, worst case, stack and memory on a board; exit status 1 when the verdict is bad."""
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        report = api.check(
            api.image_of(source, board, toolchain, Path(scratch)), board, deadline_us=deadline_us, seed=seed
        )
    if out is not None:
        write_json(out, report.to_json())
    if as_object:
        print(as_json(report.to_json()))
    else:
        results.print(layers(report))
        results.print(table(f"{report.board}: {report.verdict}", summary(report)))
    raise typer.Exit(0 if report.verdict == "pass" else 1)


def layers(report: TimingReport) -> Table:
    made = Table(title="Cycles", title_justify="left")
    for heading in ("layer", "kind", "format"):
        made.add_column(heading)
    for heading in ("cycles", "without wait states", "share"):
        made.add_column(heading, justify="right")
    for layer in report.layers:
        share = layer.cycles / max(report.cycles_typical, 1)
        made.add_row(
            layer.name, layer.kind, layer.format, f"{layer.cycles:,}", f"{layer.cycles_zero_wait:,}", f"{share:.1%}"
        )
    return made


def summary(report: TimingReport) -> list[tuple[str, str]]:
    rows = [
        ("cycles", f"{report.cycles_typical:,} typical, {report.cycles_worst:,} worst"),
        ("time", f"{report.time_us_worst:.1f} us worst of {report.deadline_us:g} us ({report.toolchain})"),
        (
            "path",
            f"{'single' if report.single_path else 'depends on data'}; "
            f"{'constant time' if report.constant_time else 'time depends on which flash lines are read'}",
        ),
        ("flash", f"{report.flash_bytes:,} of {report.flash_budget_bytes:,} bytes"),
        ("RAM", f"{report.ram_bytes:,} of {report.ram_budget_bytes:,} bytes"),
        ("stack", f"{report.stack_bytes:,} of {report.stack_budget_bytes:,} bytes, one exception frame included"),
    ]
    return rows + [("because", reason) for reason in report.reasons]
