"""`sweep.toml`: what a sweep searches. And one trial of it: train, quantize, fly, predict cycles and flash."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tinyctl import api, closed_loop, quantizer
from tinyctl.boards import FOLDER as BOARDS
from tinyctl.boards import load_board
from tinyctl.errors import FileError, TinyctlError, ToolMissing
from tinyctl.files import read_toml
from tinyctl.formats import find_format
from tinyctl.jsons import canonical_json, record_from_json
from tinyctl.project import MAX_BYTES, local, setting_text
from tinyctl.sims.mcu.cores import unmodelled
from tinyctl.sims.plants import plant_hash
from tinyctl.trainers import configured
from tinyctl.version import VERSION

CALIBRATION_SEED = 2**32  # added to a training seed: its calibration flights are none that judge
FORMAT = "format"  # the name of this choice beside the settings


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included: whole ones when both are; `log`: uniform in the logarithm."""

    low: int | float
    high: int | float
    log: bool = False


@dataclass(frozen=True)
class Choices:
    """One of these, as the text that `trainers.configured` reads."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Sweep:
    """A `sweep.toml`; paths in it are relative to its folder, and absolute here.

    `budget` trials are made by the sampler, and as many at random. The sampler draws `batch` trials at once, from what
    the batches before came to: as many can work at the same time, and how many do changes nothing. A trial trains, and
    flies, once for each of the `tuning_seeds`; what stands on a Pareto front is trained and flown again with each of
    the `test_seeds`.
    """

    plant: str
    board: str
    budget: int
    tuning_seeds: tuple[int, ...]
    test_seeds: tuple[int, ...]
    formats: tuple[str, ...]
    task: str = ""
    algo: str = "apg"
    sampler: Literal["tpe", "nsga"] = "tpe"
    batch: int = 4
    toolchain: Literal["gcc", "zig"] | None = None
    out: str = "build/sweep"
    settings: Mapping[str, Range | Choices] = field(default_factory=dict)

    def space(self) -> dict[str, Range | Choices]:
        """All that is searched, the format among it."""
        return {**self.settings, FORMAT: Choices(self.formats)}

    def fingerprint(self) -> str:
        """A hash of what a trial's figures depend on: all but the budget and the folder, and the files' contents."""
        record = {k: v for k, v in asdict(self).items() if k not in ("budget", "out")}
        board = Path(self.board) if self.board.endswith(".toml") else BOARDS / f"{self.board}.toml"
        files = [plant_hash(self.plant), hashlib.sha256(board.read_bytes()).hexdigest()]
        return hashlib.sha256(canonical_json([VERSION, record, files]).encode()).hexdigest()


@dataclass(frozen=True)
class Figures:
    """What a trial is judged by, all to be small: mean closed-loop cost over the seeds, and the largest worst-case
    cycles and flash (bytes) among their images."""

    cost: float
    cycles: int
    flash_bytes: int


def load_sweep(path: Path) -> Sweep:
    """Read a `sweep.toml`. Raises `FileError`, which names the key, for a file that is not exactly one."""
    record = read_toml(path, MAX_BYTES)
    try:
        table = record.pop("settings", {})
        if not isinstance(table, dict):
            raise TinyctlError("is not a table", where="settings")
        settings = {key: _setting(value, f"settings.{key}") for key, value in table.items()}
        sweep = record_from_json(Sweep, {**record, "settings": settings}, where="the first table")
        folder = path.resolve().parent
        located = {"plant": local(sweep.plant, folder, ".py"), "board": local(sweep.board, folder, ".toml")}
        sweep = Sweep(**{**sweep.__dict__, **located, "out": str(folder / sweep.out)})
        _check(sweep)
    except TinyctlError as error:
        if isinstance(error, ToolMissing):
            raise
        raise FileError(str(error), where=path) from None
    return sweep


def _setting(value: Any, where: str) -> Range | Choices:
    """A range, a list of choices, or one value for all trials."""
    if not isinstance(value, dict):
        items = value if isinstance(value, list) else [value]
        texts = tuple(setting_text(item, where) for item in items)
        if not texts or len(set(texts)) < len(texts):
            raise TinyctlError("has no choice" if not texts else "has a choice twice", where=where)
        return Choices(texts)
    if not {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        raise TinyctlError("a range has low, high and perhaps log, nothing else", where=where)
    low, high, log = value["low"], value["high"], value.get("log", False)
    if not all(type(x) in (int, float) and math.isfinite(x) for x in (low, high)) or type(log) is not bool:
        raise TinyctlError("low and high are finite numbers, log is true or false", where=where)
    if not low < high or (log and low <= 0):
        raise TinyctlError("low is below high, and above zero in a logarithmic range", where=where)
    return Range(low, high, log)


def _check(sweep: Sweep) -> None:
    """Everything that can be known before the first trial."""
    for name, count in (("budget", sweep.budget), ("batch", sweep.batch)):
        if count < 1:
            raise TinyctlError("is at least one trial", where=name)
    for name, seeds in (("tuning_seeds", sweep.tuning_seeds), ("test_seeds", sweep.test_seeds)):
        if not seeds or min(seeds) < 0 or max(seeds) >= CALIBRATION_SEED or len(set(seeds)) < len(seeds):
            raise TinyctlError("are one or more different whole numbers from 0 to 2^32 - 1", where=name)
    if both := set(sweep.tuning_seeds) & set(sweep.test_seeds):
        raise TinyctlError(
            f"seed {min(both)} is a tuning seed and a test seed", fix="test with seeds that nothing was chosen by"
        )
    if not sweep.formats or len(set(sweep.formats)) < len(sweep.formats):
        raise TinyctlError("is a list of one or more different formats", where="formats")
    for name in sweep.formats:
        find_format(name)
    api.plant(sweep.plant).task(sweep.task or None)
    if unable := unmodelled(load_board(sweep.board)):
        raise TinyctlError(f"its cycles cannot be predicted: {unable}", where=f"board {sweep.board}")
    for key, setting in sweep.settings.items():
        ends = setting.values if isinstance(setting, Choices) else (str(setting.low), str(setting.high))
        for text in ends:
            configured(sweep.algo, {key: text})


def measure(sweep: Sweep, chosen: Mapping[str, str], seeds: tuple[int, ...]) -> Figures | str:
    """The figures of these settings, trained and flown with each seed; or the line that says why that failed."""
    try:
        config = configured(sweep.algo, {key: text for key, text in chosen.items() if key != FORMAT})
        each = [_measure(sweep, config, chosen[FORMAT], seed) for seed in seeds]
    except ToolMissing:
        raise
    except TinyctlError as error:
        return str(error)
    cost = math.fsum(figures.cost for figures in each) / len(each)
    return Figures(cost, max(f.cycles for f in each), max(f.flash_bytes for f in each))


def measure_elsewhere(mark: str, sweep: Sweep, chosen: Mapping[str, str], seeds: tuple[int, ...]) -> Figures | str:
    """`measure` on another machine, whose tinyctl, plant and board must be those of the fingerprint `mark`."""
    try:
        same = sweep.fingerprint() == mark
    except (OSError, TinyctlError):
        same = False
    if not same:
        raise TinyctlError("a machine of the cluster has another tinyctl, plant or board",
                           fix="install the same version there, and put the files under the same paths")  # fmt: skip
    return measure(sweep, chosen, seeds)


def _measure(sweep: Sweep, config: Any, number_format: str, seed: int) -> Figures:
    plant, task = api.plant(sweep.plant), sweep.task or None
    policy = api.train(plant, task, algo=sweep.algo, config=config, seed=seed).policy
    calibration = closed_loop.observations(policy, plant, task, seed=CALIBRATION_SEED + seed)
    graph = quantizer.quantize(
        policy, number_format, quantizer.as_sequences(calibration, policy.contract, "calibration")
    )
    cost = closed_loop.cost(graph, plant, task, seed=seed)
    if not math.isfinite(cost):
        raise TinyctlError("the closed-loop cost is not a finite number")
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        image = api.build(graph, sweep.board, toolchain=sweep.toolchain, out=Path(scratch) / "image.elf")
        report = api.check(image.path, sweep.board)
    return Figures(cost, report.cycles_worst, report.flash_bytes)
