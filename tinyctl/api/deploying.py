"""From a policy to a board: quantize, guard, build, check, flash."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tinyctl import builder, closed_loop, pruner, quantizer
from tinyctl.api.common import DEFAULT_BOARD, board_of, plant, require_train
from tinyctl.bare import Program
from tinyctl.boards import Board
from tinyctl.builder import Image
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layer_errors import layer_errors
from tinyctl.layers.base import Array
from tinyctl.policy import Policy
from tinyctl.quantizer import QuantizeReport
from tinyctl.safety.guard import Guarded
from tinyctl.trainers import filled

if TYPE_CHECKING:
    from tinyctl.checker import TimingReport
    from tinyctl.flasher import FlashReport
    from tinyctl.mixer import Mix
    from tinyctl.safety.making import Report as GuardReport
    from tinyctl.sims.plant import Plant
    from tinyctl.storage import Tried

TOO_DEAR = 1.02  # the closed-loop cost of a format over the policy's, above which its weights are fitted to it


def quantize(
    policy: Policy,
    formats: str | Mapping[str, str],
    *,
    calibration: Array | None = None,
    plant_name: str | Path | Plant | None = None,
    task: str | None = None,
    board: str | Path | Board | None = None,
    toolchain: builder.Toolchain | None = None,
    budget: float | None = None,
    tune: bool | None = None,
    progress: pruner.Progress | None = None,
) -> tuple[Graph, QuantizeReport]:
    """A policy in a number format, or in one for each node that a mapping names, and what that costs.

    `auto` takes the fastest mix for the board inside `budget`: of closed-loop cost over the float policy's where a
    plant is given (1.02), else of RMS output error as a share of the outputs' range (0.002).

    Calibrates on `calibration` (steps, n_obs) or (steps, sequences, n_obs), else in closed loop with a plant, else on
    standard-normal observations. With a plant the report holds the closed-loop cost over the float policy's. With a
    board, layers with zeros are stored as is fastest there; without one as the policy says.

    `tune` fits the weights to the format in flights of the plant (`trainers.qat`), and keeps the result where it costs
    less; None does so where the ratio is above 1.02 and the policy can be fitted.
    """
    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    calibration = calibration_of(policy, calibration, which, task)
    cost = None if which is None else closed_loop.cost_ratio(policy, which, task)
    mixes: tuple[Mix, ...] = ()
    if formats == "auto":
        if board is None:
            raise TinyctlError("format auto needs a board to time the formats on")
        from tinyctl.mixer import choose_formats

        target = board_of(board)
        formats, mixes = choose_formats(
            policy, target, calibration, budget=budget, cost=cost, toolchain=toolchain, progress=progress
        )
    graph, untuned = quantizer.quantize(policy, formats, calibration), None
    ratio = None if cost is None else cost(graph)
    if which is None or cost is None or ratio is None:
        if tune:
            raise TinyctlError("fine-tuning needs a plant to fly", fix="give one, or do not tune")
    elif tune or (tune is None and ratio > TOO_DEAR and _tunable(policy)):
        require_train()
        from tinyctl.trainers import qat

        untuned = ratio
        fitted = qat.tune(policy, formats, calibration, which, which.task(task), progress=progress)
        if (reached := cost(fitted)) < untuned:
            graph, ratio = fitted, reached
    tried: tuple[Tried, ...] = ()
    if board is not None:
        graph, tried = stored_for(graph, board, toolchain)
    rms, largest = quantizer.measure(policy, graph, calibration)
    name = formats if isinstance(formats, str) else "+".join(graph.formats)
    return graph, QuantizeReport(
        name, quantizer.weight_bytes(graph), rms, largest, ratio, graph.contract.hash, graph.hash, tried, mixes,
        untuned, layer_errors(policy, graph, calibration),
    )  # fmt: skip


def guard(
    graph: Graph,
    plant_name: str | Path | Plant,
    task: str | None = None,
    *,
    settings: Mapping[str, str] = MappingProxyType({}),
    seed: int = 0,
    progress: pruner.Progress | None = None,
) -> tuple[Guarded, GuardReport]:
    """A graph with a guard around it, made from flights of the plant's task, and what that is worth. `settings` are
    fields of `safety.making.Config`, as text."""
    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    from tinyctl.safety import making

    config = filled(making.Config, "guard", settings)
    chosen = which.task(task)
    delay_s = graph.contract.latency_s
    return making.make_guard(graph, which, chosen, config=config, seed=seed, delay_s=delay_s, progress=progress)


def build(
    source: Graph | str | Path,
    board: str | Path | Board = DEFAULT_BOARD,
    *,
    toolchain: builder.Toolchain | None = None,
    out: str | Path,
    name: str = "policy",
    program: Program = "loop",
    hooks: Path | None = None,
    place: str = builder.FLASH,
) -> Image:
    """A firmware image from a graph or an emitted folder: the control loop, or service behind a link (`program`).

    `hooks` is a C file with the sensors and actuators. `place` says where the constants lie: `flash`, `ram`, or a
    region of the board that can be written.
    """
    target = board_of(board)
    if not isinstance(source, Graph):
        return builder.build(source, target, toolchain, out=out, program=program, hooks=hooks, place=place)
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        emit(source, Path(scratch), name)
        return builder.build(Path(scratch), target, toolchain, out=out, program=program, hooks=hooks, place=place)


def build_with_platformio(
    source: Graph | str | Path,
    board: str | Path | Board = DEFAULT_BOARD,
    *,
    out: str | Path,
    name: str = "policy",
    hooks: Path | None = None,
    project: Path | None = None,
) -> Image:
    """The same by PlatformIO, which needs no registry for it; `project` keeps what it was built from."""
    from tinyctl import platformio

    target = board_of(board)
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        if isinstance(source, Graph):
            emit(source, Path(scratch), name)
            source = Path(scratch)
        return platformio.build(source, target, out=out, hooks=hooks, project=project)


def check(
    image: Path,
    board: str | Path | Board = DEFAULT_BOARD,
    *,
    deadline_us: float | None = None,
    seed: int = 0,
    function: str | None = None,
    n_obs: int = 0,
    n_act: int = 0,
    tasks: Path | None = None,
    integers: bool = False,
    observations: Array | None = None,
) -> TimingReport:
    """Predict cycles, stack and memory of an image on a board, and judge them against the deadline; on `observations`
    (steps, sequences, n_obs) in place of random and extreme ones.

    With `integers`, of its integer entry. With `function`, of `void function(const float *observation, float *action)`
    in any ELF file for the board. `tasks` is a TOML file of the tasks beside it (docs/timing.md), in place of the
    board's own.
    """
    from tinyctl.checker import check as predict
    from tinyctl.schedule import load_tasks

    return predict(
        image,
        board_of(board),
        deadline_us=deadline_us,
        seed=seed,
        function=function,
        n_obs=n_obs,
        n_act=n_act,
        tasks=None if tasks is None else load_tasks(tasks),
        integers=integers,
        observations=observations,
    )


def flash(
    image: str | Path,
    board: str | Path | Board = DEFAULT_BOARD,
    *,
    graph: Graph | None = None,
    flasher: str | None = None,
    port: str | None = None,
    checked: Path | None = None,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> FlashReport:
    """Check a program, write it into a board, read it back and start it; with `graph`, only if it holds that one."""
    from tinyctl.flasher import flash as write

    return write(
        image,
        board_of(board),
        flasher=flasher,
        port=port,
        dry_run=dry_run,
        checked=checked,
        graph_hash=graph.hash if graph is not None else None,
        progress=progress,
    )


def calibration_of(policy: Policy, given: Array | None, which: Plant | None, task: str | None) -> Array:
    """(steps, sequences, n_obs): what was given, else closed-loop observations, else standard-normal ones."""
    if given is None and which is not None:
        given = closed_loop.observations(policy, which, task)
    elif given is None:
        given = quantizer.random_sequences(policy.contract, None, None)
    return quantizer.as_sequences(given, policy.contract, "calibration")


def _tunable(policy: Policy) -> bool:
    """Whether `trainers.qat` can fit it here."""
    try:
        require_train()
        from tinyctl.trainers.distill import tail_of

        tail_of(policy)
    except TinyctlError:
        return False
    return True


def stored_for(
    graph: Graph, board: str | Path | Board, toolchain: builder.Toolchain | None
) -> tuple[Graph, tuple[Tried, ...]]:
    """The graph with the storage that is fastest on a board."""
    from tinyctl.storage import choose_storage

    return choose_storage(graph, board_of(board), toolchain)
