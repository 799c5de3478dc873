"""The verbs: each a function from one record to the next. `tinyctl.train(...)`, `tinyctl.emit(...)` and so on.

    plant ──train──▶ Policy ──quantize──▶ Graph ──emit──▶ Unit ──build──▶ Image ──check──▶ TimingReport
                        └────────── fly: graph, C, emulated image or board ──┴──────▶ FlightReport

Packages that a verb needs beyond the core are imported when it is called.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tinyctl import archive, builder, certificate, closed_loop, emitter, gates, pruner, quantizer
from tinyctl.bare import Program
from tinyctl.boards import Board, load_board
from tinyctl.builder import Image
from tinyctl.contract import Contract
from tinyctl.contract_toml import load_contract
from tinyctl.errors import TinyctlError, ToolMissing
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
from tinyctl.gates import SparsifyReport
from tinyctl.graph import Graph, formats_of
from tinyctl.hil import VIRTUAL_BOARD, BoardController, HilReport, Line, open_link, step_on_board
from tinyctl.hostlib import HostController, HostPlayer
from tinyctl.image import is_elf, read_image
from tinyctl.importers.parts.normalizer import Normalizer, load_normalizer
from tinyctl.layer_errors import layer_errors
from tinyctl.layers.base import Array
from tinyctl.policy import Policy
from tinyctl.pruner import PruneReport
from tinyctl.quantizer import QuantizeReport
from tinyctl.recording import check_name, write_recording
from tinyctl.safety.guard import Guarded
from tinyctl.sequences import Player, Rates, rates_between, rates_of, sequenced
from tinyctl.specifications.flights import Watch
from tinyctl.specifications.formula import Specification
from tinyctl.status_log import StatusLog
from tinyctl.trainers import MODELS, algorithm, filled
from tinyctl.unit import load_unit

if TYPE_CHECKING:
    import torch

    from tinyctl.checker import TimingReport
    from tinyctl.failures import FailureReport
    from tinyctl.flasher import FlashReport
    from tinyctl.frequency import FrequencyReport
    from tinyctl.importers import Imported
    from tinyctl.mixer import Mix
    from tinyctl.safety.faults import Kind
    from tinyctl.safety.making import Report as GuardReport
    from tinyctl.sims.environments import Environment
    from tinyctl.sims.plant import Plant
    from tinyctl.sims.plant import Task as PlantTask
    from tinyctl.sims.starts import Starts
    from tinyctl.storage import Tried
    from tinyctl.trainers import dynamics, rl
    from tinyctl.trainers.result import Progress, TrainResult

certify = certificate.certify
load = archive.load
save = archive.save
emit = emitter.emit
FORMS = ("graph", "c", "emulator", "board")
DEFAULT_BOARD = "crazyflie21"
DEAREST_SPARSE = 1.05  # the closed-loop cost that a budget of cycles may come to, over the policy's
TOO_DEAR = 1.02  # the closed-loop cost of a format over the policy's, above which its weights are fitted to it


def plant(name_or_path: str | Path) -> Plant:
    """A plant by name or by the path of a Python file."""
    try:
        from tinyctl.sims.plants import load_plant

        return load_plant(name_or_path)
    except ImportError as error:
        raise _missing(error, "sim") from None


def train(
    plant_name: str | Path | Plant,
    task: str | None = None,
    *,
    seed: int = 0,
    algo: str = "apg",
    config: Any = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a policy for a plant's task by an algorithm of `tinyctl.trainers`; `config` is its `Config`."""
    require_train()
    if algo in MODELS:
        raise TinyctlError(f"{algo} learns a model, not a policy", fix="train_dynamics, or the command `train`")
    trainer = algorithm(algo)
    which = plant_name if not isinstance(plant_name, str | Path) else plant(plant_name)
    return trainer.train(which, task, config=config or trainer.Config(), seed=seed, progress=progress)


def train_environment(
    name: str, *, seed: int = 0, config: rl.Config | None = None, progress: Progress | None = None
) -> rl.Solved:
    """Train a policy for the Gymnasium environment called `name` (`gym:Pendulum-v1`, or without `gym:`) by
    Stable-Baselines3."""
    trainer: Any = algorithm("rl")
    config = config or trainer.Config()
    env = environment(name, config.rate_hz)
    solved: rl.Solved = trainer.train_environment(env, config=config, seed=seed, progress=progress)
    return solved


def environment(name: str, rate_hz: float | None = None) -> Environment:
    """A Gymnasium environment and the contract that follows from it."""
    try:
        from tinyctl.sims import environments
    except ImportError as error:
        raise _missing(error, "sim") from None
    return environments.environment(name, rate_hz)


def require_train() -> None:
    """Raise `ToolMissing`, which says how to get it, when training cannot be imported."""
    try:
        import tinyctl.trainers.apg  # noqa: F401
    except ImportError as error:
        raise _missing(error, "train") from None


def import_policy(
    path: Path,
    *,
    contract: Path | Contract | None = None,
    rate_hz: float | None = None,
    layers: tuple[str, ...] = (),
    output: str | None = None,
    normalize: Path | Normalizer | None = None,
    unnormalized: bool = False,
    joint_targets: bool = False,
) -> Imported:
    """A policy, or the graph of a quantized file, of another framework; docs/import.md tells what is asked for."""
    from tinyctl import importers

    return importers.read(
        importers.Request(
            path,
            load_contract(contract) if isinstance(contract, Path) else contract,
            rate_hz,
            layers,
            output,
            load_normalizer(normalize) if isinstance(normalize, Path) else normalize,
            unnormalized,
            joint_targets,
        )
    )


def from_torch(module: torch.nn.Module, contract: Contract) -> Policy:
    """A policy from a PyTorch module of this process; compared with it before it is returned."""
    try:
        from tinyctl.importers.parts import torch_module
    except ImportError as error:
        raise _missing(error, "torch") from None
    return torch_module.from_torch(module, contract)


def export_onnx(policy: Policy, path: Path) -> None:
    """Write a policy as ONNX, its contract as metadata."""
    from tinyctl import onnx_export

    onnx_export.export_onnx(policy, path)


def prune(
    policy: Policy,
    *,
    keep: float = 1.0,
    neurons: float = 1.0,
    threshold: pruner.Threshold = "global",
    calibration: Array | None = None,
    plant_name: str | Path | Plant | None = None,
    task: str | None = None,
    board: str | Path | Board | None = None,
    toolchain: builder.Toolchain | None = None,
    tune: bool = True,
    seed: int = 0,
    progress: pruner.Progress | None = None,
) -> tuple[Policy, PruneReport]:
    """A policy without dead neurons, with `neurons` of each hidden layer's neurons and at most `keep` of the products.

    What to take away is judged on `calibration`, as in `quantize`. With a plant it is taken in steps, after each of
    which the rest is fitted to the policy again in closed loop, unless `tune` is false, and the report holds the costs.
    With a board, layers with zeros are stored as is fastest there in float32.
    """
    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    calibration = _calibration(policy, calibration, which, task)
    pruned = pruner.prune(policy, calibration, keep=keep, neurons=neurons, threshold=threshold)
    stages = [policy, pruned]
    if which is not None and tune and pruned.hash != policy.hash:
        require_train()
        from tinyctl.trainers.distill import prune_gradually

        pruned = prune_gradually(
            policy,
            calibration,
            which,
            which.task(task),
            keep=keep,
            neurons=neurons,
            threshold=threshold,
            seed=seed,
            progress=progress,
        )
        stages.append(pruned)
    costs = [] if which is None else [closed_loop.cost(Graph(p.contract, p.nodes), which, task) for p in stages]
    tried: tuple[Tried, ...] = ()
    if board is not None:
        graph, tried = _stored(Graph(pruned.contract, pruned.nodes), board, toolchain)
        pruned = Policy(graph.contract, graph.nodes)
    return pruned, pruner.report(policy, pruned, calibration, costs, tried)


def sparsify(
    policy: Policy,
    *,
    keep: float | None = None,
    most_rmse: float | None = None,
    cycles: int | None = None,
    board: str | Path | Board = DEFAULT_BOARD,
    toolchain: builder.Toolchain | None = None,
    most_cost: float = DEAREST_SPARSE,
    plant_name: str | Path | Plant,
    task: str | None = None,
    seed: int = 0,
    config: Any = None,
    progress: pruner.Progress | None = None,
) -> tuple[Policy, SparsifyReport]:
    """A policy with the share `keep` (0.25) of its hidden layers' ReLUs; the others become lines or leave, and it
    learns in closed loop with a plant to do without them. `config` is a `trainers.sparsify.Config`.

    With `cycles` there are as many ReLUs as so many cycles on the board allow, in float32 with warm caches, as `check`
    predicts them; raises `TinyctlError` where that policy costs more than `most_cost` times the given one.

    A model of the plant's dynamics learns to predict as before, under a `trainers.sparse_dynamics.Config`: with the
    share `keep`, or with as few ReLUs as an RMSE of `most_rmse` allows.
    """
    require_train()
    from tinyctl.sims.experts.mip_mpc import is_model

    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    share = keep if keep is not None else 0.25 if cycles is None else 1.0
    if is_model(policy, which.task(task)):
        if cycles is not None:
            raise TinyctlError("a model runs on no board", fix="give a share of the ReLUs, or an RMSE")
        return _sparsify_model(policy, which, which.task(task), share, most_rmse, config, seed, progress)
    if most_rmse is not None:
        raise TinyctlError("an RMSE is the budget of a model", where="sparsify", fix="train one: --algo dynamics")
    check_contract(policy.contract, which.task(task), f"plant {which.name}", sequences=True)
    from tinyctl.trainers import sparsify as trainer

    def timed(made: Policy) -> int:
        from tinyctl.storage import cycles_of

        return cycles_of(Graph(made.contract, made.nodes), _board(board), toolchain)

    measured: dict[str, Any] = {} if cycles is None else {"cycles_before": timed(policy)}
    made = trainer.sparsify(
        policy,
        which,
        which.task(task),
        keep=share,
        fits=None if cycles is None else lambda tried: timed(tried) <= cycles,
        config=config or trainer.Config(),
        seed=seed,
        progress=progress,
    )
    before, after = (closed_loop.cost(Graph(p.contract, p.nodes), which, task) for p in (policy, made.policy))
    if cycles is not None:
        if after > most_cost * before:
            raise TinyctlError(
                f"within {cycles:,} cycles the closed-loop cost is {after / before:.3f} of the policy's, more than "
                f"{most_cost:g}",
                fix="give more --cycles, or a larger --cost",
            )
        measured["cycles_after"] = timed(made.policy)
    return made.policy, gates.report(policy, made.policy, made.gates, cost_before=before, cost_after=after, **measured)


def _sparsify_model(
    model: Policy, which: Plant, task: PlantTask, keep: float, most_rmse: float | None, config: Any, seed: int,
    progress: pruner.Progress | None,
) -> tuple[Policy, SparsifyReport]:  # fmt: skip
    from tinyctl.trainers import dynamics, sparse_dynamics

    config = config or sparse_dynamics.Config()
    made = sparse_dynamics.sparsify(
        model, which, task, keep=keep, most=most_rmse, config=config, seed=seed, progress=progress
    )
    before, after = (dynamics.rmse(m, which, task) for m in (model, made.policy))
    return made.policy, gates.report(model, made.policy, made.gates, rmse_before=before, rmse_after=after)


def train_dynamics(
    plant_name: str | Path | Plant,
    task: str | None = None,
    *,
    config: dynamics.Config | None = None,
    seed: int = 0,
    progress: pruner.Progress | None = None,
) -> tuple[Policy, float]:
    """A ReLU network of a plant's dynamics, for the expert `mip`, and the RMSE of its predictions."""
    require_train()
    from tinyctl.trainers import dynamics as trainer

    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    model = trainer.train(which, which.task(task), config=config or trainer.Config(), seed=seed, progress=progress)
    return model, trainer.rmse(model, which, which.task(task))


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
    calibration = _calibration(policy, calibration, which, task)
    cost = None if which is None else closed_loop.cost_ratio(policy, which, task)
    mixes: tuple[Mix, ...] = ()
    if formats == "auto":
        if board is None:
            raise TinyctlError("format auto needs a board to time the formats on")
        from tinyctl.mixer import choose_formats

        target = _board(board)
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
        graph, tried = _stored(graph, board, toolchain)
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
    target = _board(board)
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

    target = _board(board)
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
        _board(board),
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
        _board(board),
        flasher=flasher,
        port=port,
        dry_run=dry_run,
        checked=checked,
        graph_hash=graph.hash if graph is not None else None,
        progress=progress,
    )


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
    target = _board(board)
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
        _board(board),
        line,
        frames=frames,
        flown=flown,
        replay=replay,
        record=record,
        seed=seed,
        toolchain=toolchain,
        progress=progress,
    )


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


def plant_of(contract: Contract) -> tuple[str, str] | None:
    """The name of the plant that comes with tinyctl, and of its task, whose contract this is."""
    try:
        from tinyctl.sims.plants import load_plant, plant_names

        plants = [load_plant(name) for name in plant_names()]
    except ImportError:
        return None
    found = ((p.name, name) for p in plants for name in p.tasks if p.task(name).contract.hash == contract.hash)
    return next(found, None)


def _calibration(policy: Policy, given: Array | None, which: Plant | None, task: str | None) -> Array:
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


def _stored(
    graph: Graph, board: str | Path | Board, toolchain: builder.Toolchain | None
) -> tuple[Graph, tuple[Tried, ...]]:
    """The graph with the storage that is fastest on a board."""
    from tinyctl.storage import choose_storage

    return choose_storage(graph, _board(board), toolchain)


def _board(given: str | Path | Board) -> Board:
    return given if isinstance(given, Board) else load_board(given)


def _missing(error: ImportError, extra: str) -> TinyctlError:
    if error.name and error.name.startswith("tinyctl"):
        raise error
    return ToolMissing(f"the Python package {error.name} is not installed", fix=f"pip install 'tinyctl[{extra}]'")
