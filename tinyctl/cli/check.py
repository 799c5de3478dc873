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
from tinyctl.cli.base import BoardName, Json, Place, Seed, ToolchainName, as_json, load_npy, results, table, write_json
from tinyctl.run_record import Call

if TYPE_CHECKING:
    from tinyctl.checker import TimingReport
    from tinyctl.profile import InstructionCycles, LayerCycles, LineCycles
    from tinyctl.schedule import Schedule

MOST_LINES = 25  # in the table; the JSON has all


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
    integers: Annotated[
        bool, typer.Option("--integers", help="Time NAME_step_q, which has no float arithmetic.")
    ] = False,
    obs: Annotated[int, typer.Option(help="Observations of that function.", min=0)] = 0,
    act: Annotated[int, typer.Option(help="Actions of that function.", min=0)] = 0,
    observations: Annotated[
        Path | None,
        typer.Option(help="Time these of a .npy file, (steps, sequences, n_obs), instead of random and extreme ones."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A report kept from before; status 1 when a figure grew.")
    ] = None,
    tolerance: Annotated[str, typer.Option(help="Growth that the baseline allows.")] = "2%",
    tasks: Annotated[
        Path | None, typer.Option(help="TOML file of the tasks beside the controller; the board's own by default.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Show cycles by source line and instruction too.")] = False,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Predict cycles, worst case, stack and memory on a board; exit status 1 when the verdict is bad."""
    call = Call.of("check", locals())
    allowed = parse_tolerance(tolerance)
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        image = source if function is not None else api.image_of(source, board, toolchain, Path(scratch), place)
        report = api.check(
            image,
            board,
            deadline_us=deadline_us,
            seed=seed,
            function=function,
            n_obs=obs,
            n_act=act,
            tasks=tasks,
            integers=integers,
            observations=None if observations is None else load_npy(observations),
        )
    grown = [] if baseline is None else compare(report.to_json(), baseline, allowed)
    if out is not None:
        write_json(out, report.to_json())
    call.write(report.to_json(), out)
    if as_object:
        rows = [{"what": g.what, "before": g.before, "now": g.now} for g in grown]
        print(as_json(report.to_json() | ({} if baseline is None else {"grown": rows})))
    else:
        if report.layers:
            results.print(layers(report))
        if report.lines and profile:
            results.print(lines(report))
            results.print(instructions(report))
        if report.schedule is not None:
            results.print(responses(report.schedule))
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
    for row in report.layers:
        figures = f"{row.cycles:,}", f"{row.cycles_zero_wait:,}", share(row, report)
        made.add_row(escape(row.name), row.format, *figures, largest(row.stalls, 2))
    return made


def lines(report: TimingReport) -> Table:
    """The lines that take most of the cycles."""
    made = costliest("Cycles by source line", "line", "in function")
    for row in report.lines[:MOST_LINES]:
        place = escape(f"{row.file}:{row.line}" if row.line else "not known")
        made.add_row(place, escape(row.function), f"{row.cycles:,}", share(row, report), largest(row.stalls, 1))
    return made


def instructions(report: TimingReport) -> Table:
    """The instructions that take most of the cycles: a kernel in assembly is one line of the source."""
    made = costliest("Cycles by instruction", "address", "instruction")
    for row in report.instructions[:MOST_LINES]:
        figures = f"{row.cycles:,}", share(row, report), largest(row.stalls, 1)
        made.add_row(f"{row.address:#010x}", escape(row.text), *figures)
    return made


def costliest(title: str, *what: str) -> Table:
    """A table of pieces of code and their cycles, still without rows."""
    made = Table(title=title, title_justify="left")
    for heading in what:
        made.add_column(heading, no_wrap=True)
    for heading in ("cycles", "share"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("lost most to", no_wrap=True)
    return made


def responses(schedule: Schedule) -> Table:
    """The tasks beside the controller; figures count only what is known."""
    made = Table(title=f"Tasks, {schedule.utilisation:.1%} of the time used by what is known", title_justify="left")
    made.add_column("task", no_wrap=True)
    for heading in ("priority", "rate, Hz", "worst, us", "response", "deadline", "room, us"):
        made.add_column(heading, justify="right")
    for task in schedule.tasks:
        mark = " +" if task.controller else ""
        figures = (task.worst_us, task.response_us, task.deadline_us, task.room_us)
        made.add_row(
            escape(task.name) + mark,
            str(task.priority),
            f"{task.rate_hz:g}" if task.rate_hz else "events",
            *("?" if figure is None else f"{figure:,.0f}" if figure >= 1000 else f"{figure:.1f}" for figure in figures),
        )
    notes = [("not counted", schedule.not_counted), ("assumed", schedule.assumed)]
    told = [f"{what}: {', '.join(names)}" for what, names in notes if names]
    made.caption = escape("; ".join(["+ with the controller", *told]))
    made.caption_justify = "left"
    return made


def share(row: LayerCycles | LineCycles | InstructionCycles, report: TimingReport) -> str:
    return f"{row.cycles / max(report.cycles_typical, 1):.1%}"


def largest(stalls: dict[str, int], count: int) -> str:
    """The causes that cost most."""
    ordered = sorted(((cause, cycles) for cause, cycles in stalls.items() if cycles), key=lambda item: -item[1])
    return ", ".join(f"{cause} {cycles:,}" for cause, cycles in ordered[:count])


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
        ("RAM", f"{report.ram_bytes:,} of {report.ram_budget_bytes:,} bytes"),
        ("stack", f"{report.stack_bytes:,} of {report.stack_budget_bytes:,} bytes, one exception frame included"),
        ("deepest", " > ".join(report.stack_chain)),
        *(("beside", left_out) for left_out in report.stack_left_out),
        *(("finding", finding) for finding in map(str, report.findings) if finding not in report.reasons),
    ]
    for part in report.beside:
        path = "single path" if part.single_path else "more than one path"
        rows.append((part.name, f"{part.cycles_worst:,} cycles worst, {path}, {part.ram_bytes} bytes of RAM"))
    if report.constants_bytes:
        rows.append(("constants", f"{report.constants_bytes:,} bytes of them in {report.constants_region}"))
    if report.toolchain:
        rows.append(("compiler", report.toolchain))
    return rows + [("because", reason) for reason in report.reasons]
