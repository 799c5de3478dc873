"""Controllers in closed loop, in any of their forms, and on boards."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyctl import builder
from tinyctl.api.common import DEFAULT_BOARD, FORMS, board_of, environment, plant, plant_of
from tinyctl.api.deploying import build, check
from tinyctl.archive import load
from tinyctl.boards import Board
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.flight import (
    KEPT,
    EmulatedController,
    EnvironmentReport,
    FlightReport,
    GraphController,
    Identity,
    check_contract,
    environment_report,
    report,
)
from tinyctl.graph import Graph, formats_of
from tinyctl.hil import VIRTUAL_BOARD, BoardController, HilReport, Line, open_link, step_on_board
from tinyctl.hostlib import HostController, HostPlayer
from tinyctl.image import is_elf, read_image
from tinyctl.policy import Policy
from tinyctl.recording import check_name, write_recording
from tinyctl.sequences import Player, Rates, rates_between, rates_of, sequenced
from tinyctl.specifications.flights import Watch
from tinyctl.specifications.formula import Specification
from tinyctl.status_log import StatusLog
from tinyctl.unit import load_unit

if TYPE_CHECKING:
    from tinyctl.failures import FailureReport
    from tinyctl.frequency import FrequencyReport
    from tinyctl.safety.faults import Kind
    from tinyctl.sims.plant import Plant
    from tinyctl.sims.starts import Starts


@dataclass(frozen=True)
class Flyable:
    """One of the four things that fly: a graph, or the path of an emitted folder or an image; which it is, how often it
    is stepped, and how many numbers it returns."""

    source: Graph | Path
    identity: Identity
    rate_hz: float
    n_act: int


def flyable(source: Policy | Graph | str | Path) -> Flyable:
    """A policy, a graph, or the path of a `.tctl` file, an emitted folder or an image."""
    source = Path(source) if isinstance(source, str) else source
    if isinstance(source, Path) and source.is_dir():
        unit = load_unit(source)
        who = Identity(unit.contract_hash, unit.graph_hash, formats_of(unit.nodes))
        return Flyable(source, who, unit.rate_hz, unit.n_act)
    if isinstance(source, Path) and (source.suffix == ".elf" or is_elf(source)):
        said = read_image(source).descriptor
        who = Identity(said.contract_hash, said.graph_hash, formats_of(said.nodes))
        return Flyable(source, who, said.rate_hz, said.n_act)
    network = load(source) if isinstance(source, Path) else source
    graph = network if isinstance(network, Graph) else Graph(network.contract, network.nodes)
    who = Identity(graph.contract.hash, graph.hash, graph.formats)
    return Flyable(graph, who, graph.contract.rate_hz, graph.contract.n_act)


def image_of(
    source: Path,
    board: str | Path | Board,
    toolchain: builder.Toolchain | None,
    scratch: Path,
    place: str = builder.FLASH,
) -> Path:
    """The image that `source` is (`.elf`), or one built from it (a `.tctl` file, an emitted folder) into `scratch`."""
    what = flyable(source).source
    if isinstance(what, Path) and not what.is_dir():
        if place != builder.FLASH:
            raise TinyctlError("where constants lie was settled when it was built", where=what, fix="build it again")
        return what
    return build(what, board, toolchain=toolchain, out=scratch / "image.elf", place=place).path


def fly(
    source: Policy | Graph | str | Path,
    plant_name: str | Path | Plant = "quadrotor",
    task: str | None = None,
    *,
    on: str = "graph",
    board: str | Path | Board = DEFAULT_BOARD,
    toolchain: builder.Toolchain | None = None,
    episodes: int = 1000,
    seed: int = 0,
    delay_s: float = 0.0,
    randomise: bool = False,
    line: Line = VIRTUAL_BOARD,
    setpoints: Path | None = None,
    log: Path | None = None,
    fault: Kind | None = None,
    specifications: Sequence[Specification] = (),
    miss: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> FlightReport:
    """Close the loop of a plant with a controller as `on` says: the graph, its C on the host, the emulated image, or a
    board, which `line` reaches (the virtual one by default) and which flies one episode at a time.

    The action takes effect `delay_s` after the observation: give the predicted worst inference time. With `randomise`
    each episode draws its own parameters and delay of sensors and actuators. With the file `setpoints` the controller
    is led along them from rest; `log` is what to record the flights in, as `hil` does. How the flights keep to the
    `specifications` is told (docs/specifications.md). Of the decisions every `miss`-th does not come, for trials:
    what was said before goes on (docs/rates.md). With `fault` one sensor fails in every episode (docs/guard.md).
    """
    if log is not None:
        check_name(log)
    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    from tinyctl.sims import excitation
    from tinyctl.sims.loop import BATCH, periods_between, split_delay
    from tinyctl.sims.loop import fly as loop

    name = task or next(iter(which.tasks))
    what = flyable(source)
    if isinstance(what.source, Graph):
        check_contract(what.source.contract, which.task(name), f"plant {which.name}", sequences=True)
    contract = sequenced(which.task(name).contract, rates_between(which.task(name).contract, what.rate_hz, what.n_act))
    if what.identity.contract_hash != contract.hash:
        raise TinyctlError(
            "its contract is not that of the task",
            where=what.source,
            fix="fly it in the task it was made for",
        )
    with ExitStack() as stack:
        controller = _controller(what.source, on, board, toolchain, line, stack)
        told_s, rates = delay_s, rates_of(contract)
        if miss or rates != Rates():
            late, delay_s = split_delay(delay_s, which.task(name).period_s)
            if isinstance(controller, HostController) and late == 0 and rates.length > 1:
                controller = HostPlayer(controller, rates.every, miss)
            else:
                controller = Player(controller, contract, late=late, miss=miss)
        controller = status_log = StatusLog(controller, KEPT)
        offsets = None if setpoints is None else excitation.read_setpoints(setpoints, which.task(name))
        if offsets is not None:
            which = excitation.led(which, name, len(offsets))
        if log is not None or offsets is not None:
            if delay_s > which.task(name).period_s or on == "board" or episodes > BATCH:
                limits = f"not on a board (hil --record), no delay beyond a period, at most {BATCH} episodes"
                raise TinyctlError("such flights cannot be led or logged", fix=limits)
            controller = excitation.Excited(controller, offsets)
        if fault is not None:
            from tinyctl.safety.faults import Faulty

            controller = Faulty(controller, which.task(name), fault, seed)
        watch = Watch(which, which.task(name), specifications) if specifications else None
        flights = loop(
            which,
            which.task(name),
            controller,
            episodes=episodes,
            seed=seed,
            delay_s=delay_s,
            randomise=randomise,
            keep=KEPT,
            batch=1 if on == "board" else BATCH,
            progress=progress,
            watch=watch,
        )
    if log is not None:
        logged = which.task(name)
        flown = controller.episodes(flights.lost_s, logged.contract.rate_hz)
        write_recording(log, logged.contract, what.identity.graph_hash, flown)
    kept = watch.kept() if watch is not None else ()
    period_s = which.task(name).period_s
    events = status_log.events(period_s * periods_between(delay_s, period_s))
    return report(which, name, flights, what.identity, on=on, seed=seed, delay_s=told_s, kept=kept, events=events,
                  fault=fault)  # fmt: skip


def frequency(
    source: Policy | Graph | str | Path,
    plant_name: str | Path | Plant = "quadrotor",
    task: str | None = None,
    *,
    env: str | None = None,
    beside: Policy | Graph | str | Path | None = None,
    episodes: int = 10,
    seed: int = 0,
    delay_s: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FrequencyReport:
    """The frequency-averaged score of a graph in a plant's task, or in the environment `env`: its returns when it
    decides every 1, 2, 4, ... 30 ticks, by its sequences and by repeating one action. `beside` is a plain policy whose
    repeated actions are the baseline, by default the first ones of the sequences."""
    from tinyctl.frequency import FrequencyReport, best_of, of_environment, of_plant, ways_of

    what = flyable(source)
    graphs = {"": what.source} | ({} if beside is None else {"beside, ": flyable(beside).source})
    ways: dict[str, Any] = {}
    for name, graph in graphs.items():
        if not isinstance(graph, Graph):
            raise TinyctlError("only a .tctl file flies at other rates than its own", where=graph)
        ways |= ways_of(name, GraphController(graph), graph.contract)
    contracts, who = [way.contract for way in ways.values()], what.identity
    how: dict[str, Any] = {"episodes": episodes, "seed": seed, "tell": progress}
    if env is None:
        which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
        name = task or next(iter(which.tasks))
        for contract in contracts:
            check_contract(contract, which.task(name), f"plant {which.name}", sequences=True)
        rows, best = of_plant(which, which.task(name), ways, delay_s=delay_s, **how), 1.0
        subject = f"{which.name}, {name}"
    else:
        place = environment(env)
        from tinyctl.sims.environments import check_columns

        for contract in contracts:
            check_columns(contract, place)
        rows, best, subject = of_environment(place, ways, **how), best_of(place.name)[0], place.name
    return FrequencyReport(subject, episodes, seed, delay_s, best, rows, who.contract_hash, who.graph_hash)


def fly_environment(
    source: Policy | Graph | str | Path,
    name: str,
    *,
    on: str = "graph",
    board: str | Path | Board = DEFAULT_BOARD,
    toolchain: builder.Toolchain | None = None,
    episodes: int = 100,
    seed: int = 0,
    line: Line = VIRTUAL_BOARD,
    progress: Callable[[int, int], None] | None = None,
) -> EnvironmentReport:
    """Episodes of a Gymnasium environment with a controller in any of the forms of `fly`, without a delay."""
    what = flyable(source)
    graph = what.source if isinstance(what.source, Graph) else None
    env = environment(name, None if graph is None else graph.contract.rate_hz)
    from tinyctl.sims import environments

    if graph is not None:
        environments.check_columns(graph.contract, env)
    elif what.identity.contract_hash != env.contract.hash:
        raise TinyctlError(
            "its contract is not the one that follows from the environment",
            where=what.source,
            fix="fly the .tctl file, whose columns can be compared",
        )
    with ExitStack() as stack:
        controller = _controller(what.source, on, board, toolchain, line, stack)
        batch = 1 if on == "board" else environments.BATCH
        flown = environments.fly(env, controller, episodes=episodes, seed=seed, batch=batch, progress=progress)
    return environment_report(env.name, flown, what.identity, on=on, seed=seed)


def failures(
    source: Policy | Graph | str | Path,
    twin: Policy | Graph | str | Path,
    plant_name: str | Path | Plant = "quadrotor",
    task: str | None = None,
    *,
    on: str = "c",
    episodes: int = 1000,
    twin_episodes: int = 50_000,
    seed: int = 0,
    delay_s: float = 0.0,
    board: str | Path | Board = DEFAULT_BOARD,
    toolchain: builder.Toolchain | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FailureReport:
    """How often a controller fails, by `episodes` of its own and those same and `twin_episodes` more of a cheaper
    `twin`, the float policy it was made from, whose C flies on the host; `progress` is told of the twin's flights."""
    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    from tinyctl.failures import FailureReport, failed
    from tinyctl.sims.control_variate import failure_rate

    how: dict[str, Any] = {"seed": seed, "delay_s": delay_s, "board": board, "toolchain": toolchain}
    own = fly(source, which, task, on=on, episodes=episodes, **how)
    other = fly(twin, which, task, on="c", episodes=episodes + twin_episodes, progress=progress, **how)
    if own.contract_hash != other.contract_hash:
        raise TinyctlError("the twin has another contract", fix="give the policy that the controller was made from")
    of_twin = failed(other)
    rate = failure_rate(failed(own), of_twin[:episodes], of_twin[episodes:])
    return FailureReport.of(own, other, rate)


def fly_expert(
    name: str,
    plant_name: str | Path | Plant = "quadrotor",
    task: str | None = None,
    *,
    episodes: int = 100,
    seed: int = 0,
    delay_s: float | None = None,
    model: Path | None = None,
    specifications: Sequence[Specification] = (),
    progress: Callable[[int, int], None] | None = None,
) -> FlightReport:
    """The same flights by an expert (`sims.experts`), which sees the true state; its delay is by default the latency of
    the task's contract. `model` is a file of the dynamics that the expert `mip` plans with."""
    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    from tinyctl.sims.experts import expert
    from tinyctl.sims.loop import fly as loop

    chosen = which.task(task)
    delay_s = chosen.contract.latency_s if delay_s is None else delay_s
    who = Identity(chosen.contract.hash, "", ())
    options: dict[str, Any] = {} if model is None else {"dynamics": load(model)}
    watch = Watch(which, chosen, specifications) if specifications else None
    flights = loop(
        which,
        chosen,
        expert(name, which, chosen, **options),
        episodes=episodes,
        seed=seed,
        delay_s=delay_s,
        keep=KEPT,
        progress=progress,
        watch=watch,
    )
    kept = watch.kept() if watch is not None else ()
    named = task or next(iter(which.tasks))
    return report(which, named, flights, who, on=name, seed=seed, delay_s=delay_s, kept=kept)


def _controller(
    source: Graph | Path,
    on: str,
    board: str | Path | Board,
    toolchain: builder.Toolchain | None,
    line: Line,
    stack: ExitStack,
) -> Any:
    if on not in FORMS:
        raise TinyctlError(f"cannot fly on {on!r:.40}", fix=f"choose one of {', '.join(FORMS)}")
    target = board_of(board)
    if on in ("graph", "board"):
        if isinstance(source, Path):
            raise TinyctlError(f"only a .tctl file flies on the {on}", where=source, fix="use --on c or --on emulator")
        if on == "graph":
            return GraphController(source)
        return BoardController(stack.enter_context(open_link(source, target, line, toolchain)))
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyctl-")))
    folder = source
    if isinstance(source, Graph):
        emit(source, scratch / "c")
        folder = scratch / "c"
    assert isinstance(folder, Path)
    if on == "c":
        if not folder.is_dir():
            raise TinyctlError("an image does not run on the host", where=folder, fix="use --on emulator")
        return HostController(folder)
    if folder.is_dir():
        folder = build(folder, target, toolchain=toolchain, out=scratch / "image.elf").path
    return EmulatedController(folder, target)


def hil(
    source: Policy | Graph | str | Path,
    board: str | Path | Board = DEFAULT_BOARD,
    line: Line = VIRTUAL_BOARD,
    *,
    frames: int = 1000,
    plant_name: str | Path | Plant | None = None,
    task: str | None = None,
    replay: Path | None = None,
    record: Path | None = None,
    seed: int = 0,
    toolchain: builder.Toolchain | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> HilReport:
    """Let a board step a controller, and hold every step against `Graph.run`.

    Observations come from flights of a plant, from a recording, or at random.
    """
    graph = flyable(source).source
    if isinstance(graph, Path):
        raise TinyctlError("only a .tctl file can be held against `Graph.run`", where=graph)
    flown = None
    if plant_name is not None:
        which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
        flown = which, task or next(iter(which.tasks))
        check_contract(graph.contract, which.task(task), f"plant {which.name}", sequences=True)
    return step_on_board(
        graph,
        board_of(board),
        line,
        frames=frames,
        flown=flown,
        replay=replay,
        record=record,
        seed=seed,
        toolchain=toolchain,
        progress=progress,
    )


def mine(
    graph: Graph,
    plant_name: str | Path | Plant,
    task: str | None = None,
    *,
    flights: int = 4000,
    scale: float = 1.5,
    seed: int = 0,
    out: Path | None = None,
) -> Starts:
    """The starts, among so many that are `scale` times as far from rest as the task's, from which the graph's C
    crashes; written to `out` for `train --retrain`. Raises `TinyctlError` where there is none."""
    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    from tinyctl.safety import mining
    from tinyctl.sims.starts import write_starts

    check_contract(graph.contract, which.task(task), f"plant {which.name}")
    kernel = mining.crash_kernel(which, which.task(task))
    found = mining.failures(graph, kernel, flights, seed, scale, graph.contract.latency_s)
    if not len(found.x):
        raise TinyctlError(f"none of {flights} flights failed", fix="a larger scale, or more flights")
    if out is not None:
        write_starts(out, found)
    return found


def studio_files(
    graphs: Mapping[str, Graph],
    plant_name: str | Path | Plant | None = None,
    task: str | None = None,
    *,
    board: str | Path | Board = DEFAULT_BOARD,
    toolchain: builder.Toolchain | None = None,
    delay_s: float | None = None,
    seed: int = 0,
) -> dict[str, bytes]:
    """The page of `tinyctl studio` for graphs by name, each with the worst inference time predicted on the board as the
    delay of its actions, or with `delay_s` and no prediction. Without a plant it is the one that has their contract."""
    if plant_name is None:
        found = plant_of(next(iter(graphs.values())).contract)
        if found is None:
            raise TinyctlError("no plant of tinyctl has this contract", fix="name one: --plant NAME or FILE")
        plant_name, task = found[0], task or found[1]
    from tinyctl import studio

    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    studio.check_together(which, task, graphs)
    flyers = []
    for name, graph in graphs.items():
        if delay_s is not None:
            flyers.append(studio.Flyer(name, graph, delay_s))
            continue
        with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
            image = build(graph, board, toolchain=toolchain, out=Path(scratch) / "image.elf")
            timing = check(image.path, board)
        flyers.append(studio.Flyer(name, graph, timing.time_us_worst * 1e-6, timing))
    return studio.files(which, task, flyers, seed=seed)
