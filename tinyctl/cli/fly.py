"""`tinyctl fly`: closed loop of a plant and a controller."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from tinyctl import api, frequency
from tinyctl.cli.base import (
    BoardName,
    Json,
    Port,
    Seed,
    Task,
    ToolchainName,
    TransportName,
    as_json,
    load_graph,
    progress,
    results,
    table,
    write_json,
)
from tinyctl.errors import TinyctlError
from tinyctl.files import write_atomically
from tinyctl.flight import EnvironmentReport, FlightReport, Score
from tinyctl.frequency import INTERVALS, FrequencyReport
from tinyctl.graph import Graph
from tinyctl.hil import VIRTUAL, Line
from tinyctl.run_record import Call
from tinyctl.safety.guard import Guarded
from tinyctl.specifications.flights import load_specifications, specification


def command(
    source: Annotated[
        Path | None, typer.Argument(help="A policy or graph (.tctl), an emitted folder, or an image (.elf).")
    ] = None,
    plant: Annotated[str, typer.Option(help="Name of a plant, or path of a Python file.")] = "quadrotor",
    task: Task = None,
    env: Annotated[
        str | None, typer.Option(help="Fly a Gymnasium environment instead, such as Pendulum-v1, without a delay.")
    ] = None,
    expert: Annotated[
        str | None,
        typer.Option(
            help="Fly an expert, which sees the true state, instead: lqr, pid, mpc, or mip, with a file of its model."
        ),
    ] = None,
    on: Annotated[
        Literal["graph", "c", "emulator", "board"],
        typer.Option(help="The NumPy definition, the C on the host, the ARM image in the emulator, or a board."),
    ] = "graph",
    board: BoardName = api.DEFAULT_BOARD,
    toolchain: ToolchainName = None,
    port: Port = VIRTUAL,
    transport: TransportName = "semihosting",
    episodes: Annotated[int, typer.Option(min=1, max=1_000_000)] = 100,
    seed: Seed = 0,
    delay_us: Annotated[
        float | None,
        typer.Option(
            help="Delay of the action; by default the predicted worst inference time on the board, for an expert the "
            "latency of the contract.",
            min=0,
        ),
    ] = None,
    randomise: Annotated[
        bool, typer.Option("--randomise", help="Each episode draws the plant's parameters and a delay of its own.")
    ] = False,
    setpoints: Annotated[Path | None, typer.Option(help="Lead it from rest along a file that `excite` wrote.")] = None,
    fault: Annotated[
        Literal["stuck", "delay", "flip", "noise", "lost"] | None,
        typer.Option(help="One sensor of every episode fails so, from a moment of the first 2 s on."),
    ] = None,
    guard: Annotated[bool, typer.Option(help="Fly a guarded graph with its guard, or the bare policy.")] = True,
    log: Annotated[Path | None, typer.Option(help="Record the flights (.csv or .mcap), for `identify`.")] = None,
    miss: Annotated[
        int,
        typer.Option(help="For trials: every so many-th decision does not come; what was said before goes on.", min=0),
    ] = 0,
    spec: Annotated[
        list[str] | None, typer.Option(help='What flights shall keep to, such as "always[2, end] norm(p) < 0.1".')
    ] = None,
    specs: Annotated[Path | None, typer.Option(help="TOML file of such specifications.")] = None,
    satisfied: Annotated[
        float, typer.Option(help="Status 1 when fewer flights keep to a specification.", min=0, max=1)
    ] = 0.0,
    fas: Annotated[
        bool, typer.Option("--fas", help="Score it at every 1, 2, 4, ... 30 ticks to a decision instead, on the graph.")
    ] = False,
    beside: Annotated[
        Path | None, typer.Option(help="With --fas: a plain policy, whose repeated actions are the baseline.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="With --fas: draw it (.svg).")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Fly a controller and score it."""
    call = Call.of("fly", locals())
    if (source is None) == (expert is None) and expert != "mip":
        raise TinyctlError("what is to fly?", fix="give a file, or --expert NAME")
    if (setpoints or log or fault or not guard) and (env is not None or expert is not None):
        raise TinyctlError("--setpoints, --log, --fault and --no-guard go with a file that flies a plant",
                           fix="`excite --save` writes set-points")  # fmt: skip
    specifications = [*map(specification, spec or []), *(load_specifications(specs) if specs else ())]
    if env is not None and specifications:
        raise TinyctlError("specifications go with a plant, whose signals have names")
    if miss and (env is not None or expert is not None):
        raise TinyctlError("--miss goes with a file that flies a plant")
    if satisfied > 0 and not specifications:
        raise TinyctlError("--satisfied goes with --spec or --specs")
    if (beside or plot) and not fas:
        raise TinyctlError("--beside and --plot go with --fas")
    if fas:
        if source is None or on != "graph" or specifications or randomise or setpoints or log or miss:
            raise TinyctlError("--fas flies a .tctl file in a task or in --env, and nothing else with it")
        late_s = (delay_us or 0.0) * 1e-6
        if env is None and delay_us is None:
            late_s = predicted_delay_s(source, board, toolchain)
        with progress("Flying at lower and lower rates", as_object) as update:
            scored = api.frequency(source, plant, task, env=env, beside=beside, episodes=episodes, seed=seed,
                                   delay_s=late_s, progress=update)  # fmt: skip
        if plot is not None:
            write_atomically(plot, frequency.plot(scored))
        _finish(call, scored.to_json(), frequencies(scored), out, as_object)
        return
    if env is not None:
        if source is None or task is not None or delay_us is not None:
            raise TinyctlError("--env goes with a file, and without --task and --delay-us")
        with progress(f"Flying {episodes} episodes on {on}", as_object) as update:
            flown_there = api.fly_environment(
                source,
                env,
                on=on,
                board=board,
                toolchain=toolchain,
                episodes=episodes,
                seed=seed,
                line=Line(port, transport),
                progress=update,
            )
        _show(call, flown_there, on, environment_summary(flown_there), out, as_object)
        return
    if expert is not None and randomise:
        raise TinyctlError("experts fly the nominal plant", fix="leave out --randomise")
    delay_s = None if delay_us is None else delay_us * 1e-6
    if source is not None and expert is None and delay_s is None:
        delay_s = predicted_delay_s(source, board, toolchain)
    flown = on if expert is None else expert
    with progress(f"Flying {episodes} episodes on {flown}", as_object) as update:
        if expert is not None:
            report = api.fly_expert(
                expert,
                plant,
                task,
                episodes=episodes,
                seed=seed,
                delay_s=delay_s,
                model=source,
                specifications=specifications,
                progress=update,
            )
        else:
            assert source is not None
            assert delay_s is not None
            report = api.fly(
                source if guard else bare(source),
                plant,
                task,
                on=on,
                board=board,
                toolchain=toolchain,
                episodes=episodes,
                seed=seed,
                delay_s=delay_s,
                randomise=randomise,
                line=Line(port, transport),
                setpoints=setpoints,
                log=log,
                fault=fault,
                specifications=specifications,
                miss=miss,
                progress=update,
            )
    _show(call, report, flown, summary(report), out, as_object)
    if report.specifications and not as_object:
        results.print(kept(report))
    raise typer.Exit(int(any(s.satisfied < satisfied for s in report.specifications)))


def bare(source: Path) -> Graph:
    """The policy without the guard that its file has."""
    graph = load_graph(source)
    if not isinstance(graph, Guarded):
        raise TinyctlError("has no guard", where=source, fix="leave out --no-guard")
    return graph.policy


def _show(
    call: Call,
    report: FlightReport | EnvironmentReport,
    on: str,
    rows: list[tuple[str, str]],
    out: Path | None,
    as_object: bool,
) -> None:
    _finish(call, report.to_json(), table(f"Flown on {on}", rows), out, as_object)


def _finish(call: Call, record: dict[str, Any], shown: Table, out: Path | None, as_object: bool) -> None:
    if out is not None:
        write_json(out, record)
    call.write(record, out)
    if as_object:
        print(as_json(record))
    else:
        results.print(shown)


def predicted_delay_s(source: Path, board: str, toolchain: Literal["gcc", "zig"] | None) -> float:
    """The worst inference time of the controller on the board, s."""
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        return api.check(api.image_of(source, board, toolchain, Path(scratch)), board).time_us_worst * 1e-6


def summary(report: FlightReport) -> list[tuple[str, str]]:
    low, high = report.survived_ci95
    rows = [
        ("survived", f"{report.survived:.1%} of {report.episodes} ({low:.1%} to {high:.1%})"),
        ("delay", f"{report.delay_s * 1e6:.0f} us"),
    ]
    return rows + scores(report.scores)


def kept(report: FlightReport) -> Table:
    """How the flights keep to their specifications."""
    made = Table(title="Specifications", title_justify="left")
    made.add_column("specification", overflow="fold")
    for heading in ("satisfied", "worst robustness", "in episode"):
        made.add_column(heading, justify="right")
    for s in report.specifications:
        worst = "-inf" if s.worst is None else f"{s.worst:.4g}"
        low, high = s.satisfied_ci95
        made.add_row(escape(s.name), f"{s.satisfied:.1%} ({low:.1%} to {high:.1%})", worst, str(s.worst_episode))
    return made


def frequencies(report: FrequencyReport) -> Table:
    """Returns at each interval of decisions, and the scores."""
    made = Table(title=f"{report.subject}: return, best {report.best:g}", title_justify="left", show_footer=True)
    made.add_column("ticks to a decision", "frequency-averaged score", justify="right")
    for row in report.rows:
        made.add_column(escape(row.name), f"{row.score:.4f}", justify="right")
    for k, every in enumerate(INTERVALS):
        made.add_row(str(every), *(f"{row.returns[k]:.4g}" for row in report.rows))
    return made


def environment_summary(report: EnvironmentReport) -> list[tuple[str, str]]:
    low, high = report.terminated_ci95
    ended = f"{report.terminated:.1%} of {report.episodes} ({low:.1%} to {high:.1%}), for better or worse"
    return [("environment", report.environment), ("ended early", ended), *scores(report.scores)]


def scores(found: dict[str, Score]) -> list[tuple[str, str]]:
    rows = []
    for name, score in found.items():
        interval = f" ({score.ci95[0]:.4g} to {score.ci95[1]:.4g})" if score.ci95 else ""
        unit = "" if score.unit == "1" else f" {score.unit}"
        rows.append((name.replace("_", " "), "-" if score.value is None else f"{score.value:.4g}{unit}{interval}"))
    return rows
