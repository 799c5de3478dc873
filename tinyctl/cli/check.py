"""`tinyctl check`: does it meet its deadline, and does it fit?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tinyctl import api
from tinyctl.baseline import Growth, compare, parse_tolerance
from tinyctl.builder import FLASH
from tinyctl.cli.base import BoardName, Json, Place, Seed, ToolchainName, as_json, results, table, write_json

if TYPE_CHECKING:
    from tinyctl.checker import TimingReport


def command(
    source: Annotated[Path, typer.Argument(help="A policy or graph (.tctl), an emitted folder, or an image (.elf).")],
    board: BoardName = api.DEFAULT_BOARD,
    toolchain: ToolchainName = None,
    place: Place = FLASH,
    deadline_us: Annotated[
        float | None, typer.Option(help="Deadline; the board's loop period by default.", min=0)
    ] = None,
    function: Annotated[
        str | None, typer.Option(help="Time NAME(const float *observation, float *action) of any ELF file.")
    ] = None,
    obs: Annotated[int, typer.Option(help="Observations of that function.", min=0)] = 0,
    act: Annotated[int, typer.Option(help="Actions of that function.", min=0)] = 0,
    baseline: Annotated[
        Path | None, typer.Option(help="A report kept from before; status 1 when a figure grew.")
    ] = None,
    tolerance: Annotated[str, typer.Option(help="Growth that the baseline allows.")] = "2%",
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Predict cycles, worst case, stack and memory on a board; exit status 1 when the verdict is bad."""
    allowed = parse_tolerance(tolerance)
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        image = source if function is not None else api.image_of(source, board, toolchain, Path(scratch), place)
        report = api.check(image, board, deadline_us=deadline_us, seed=seed, function=function, n_obs=obs, n_act=act)
    grown = [] if baseline is None else compare(report.to_json(), baseline, allowed)
    if out is not None:
        write_json(out, report.to_json())
    if as_object:
        rows = [{"what": g.what, "before": g.before, "now": g.now} for g in grown]
        print(as_json(report.to_json() | ({} if baseline is None else {"grown": rows})))
    else:
        if report.layers:
            results.print(layers(report))
        results.print(table(f"{report.board}: {report.verdict}", summary(report)))
        if grown:
            results.print(growth(grown, allowed))
    raise typer.Exit(0 if report.verdict == "pass" and not grown else 1)


def growth(grown: list[Growth], allowed: float) -> Table:
    made = Table(title=f"Grown by more than {allowed:.1%}", title_justify="left")
    made.add_column("figure")
    for heading in ("before", "now", "growth"):
        made.add_column(heading, justify="right")
    for row in grown:
        made.add_row(escape(row.what), f"{row.before:,}", f"{row.now:,}", f"{row.share:.1%}")
    return made


def layers(report: TimingReport) -> Table:
    made = Table(title="Cycles", title_justify="left")
    for heading in ("layer", "format"):
        made.add_column(heading, no_wrap=True)
    for heading in ("cycles", "no waits", "share"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("lost to")
    for layer in report.layers:
        share = layer.cycles / max(report.cycles_typical, 1)
        made.add_row(
            layer.name,
            layer.format,
            f"{layer.cycles:,}",
            f"{layer.cycles_zero_wait:,}",
            f"{share:.1%}",
            ", ".join(f"{cause} {cycles:,}" for cause, cycles in largest(layer.stalls)),
        )
    return made


def largest(stalls: dict[str, int], count: int = 2) -> list[tuple[str, int]]:
    """The causes that cost most."""
    return sorted(((c, n) for c, n in stalls.items() if n), key=lambda item: -item[1])[:count]


def summary(report: TimingReport) -> list[tuple[str, str]]:
    rows = []
    if report.layers:
        path = "single" if report.single_path else f"{report.paths} paths, parting at {', '.join(report.parting)}"
        same = "constant time" if report.constant_time else "time depends on data"
        rows = [
            ("cycles", f"{report.cycles_typical:,} typical, {report.cycles_worst:,} worst"),
            ("inputs", f"{report.samples}: {report.cycles_fastest:,} to {report.cycles_slowest:,} cycles, caches warm"),
            ("time", f"{report.time_us_worst:.1f} us worst of {report.deadline_us:g} us"),
            ("path", f"{path}; {same}"),
            ("evidence", report.evidence),
        ]
    rows += [
        ("flash", f"{report.flash_bytes:,} of {report.flash_budget_bytes:,} bytes"),
        *(
            [("constants", f"{report.constants_bytes:,} bytes in {report.constants_region}")]
            * (report.constants_bytes > 0)
        ),
        ("RAM", f"{report.ram_bytes:,} of {report.ram_budget_bytes:,} bytes"),
        ("stack", f"{report.stack_bytes:,} of {report.stack_budget_bytes:,} bytes, one exception frame included"),
    ]
    if report.constants_bytes:
        rows.append(("constants", f"{report.constants_bytes:,} bytes of them in {report.constants_region}"))
    if report.toolchain:
        rows.append(("compiler", report.toolchain))
    return rows + [("because", reason) for reason in report.reasons]
