"""`tinyctl.toml`: what a project trains, quantizes, builds and flies. `TEXT` is the file that `tinyctl init` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from tinyctl.contract import check_identifier
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import read_toml
from tinyctl.jsons import record_from_json
from tinyctl.specifications.flights import specifications_of
from tinyctl.specifications.formula import Specification

FILE = "tinyctl.toml"
MAX_BYTES = 1 << 16
Record = TypeVar("Record")

TEXT = """\
# A tinyctl project: `tinyctl run` goes from training to flight and redoes what changed.
plant = {plant}  # a name (`tinyctl plants`), the path of a Python file, or gym:ID
# task = "{task}"  # the plant's first by default
board = {board}  # a name (`tinyctl boards`), or the path of a TOML file
name = "policy"  # prefix of the C files and symbols
out = "build"  # folder for everything that is made
# toolchain = "gcc"  # or "zig"; gcc where it is installed

[train]
algo = "{algo}"
seed = 0

[train.settings]  # of the algorithm, as `tinyctl train --set`
{choice}# hidden = [32, 32]

# [prune]  # leave the table out to keep every weight
# keep = 0.5  # at most this share of the products
# neurons = 1.0  # this share of each hidden layer's neurons
# threshold = "global"  # or "layer"

[quantize]
format = "w16a16"  # f32, w16a16, w8a16, w8a8 or auto

[check]
# deadline_us = 1000.0  # the board's loop period by default

[fly]
on = "c"  # graph, c or emulator
episodes = 1000
seed = 0
# at_least = 0.95  # {least}; a run below it ends with status 1
# satisfied = 0.95  # of the episodes keep to each of these

# [specs]  # what flights shall keep to: docs/specifications.md
# NAME = "always[2, end] norm(p) < 0.1"
"""


@dataclass(frozen=True)
class Train:
    """Algorithm, seed, and fields of the algorithm's configuration as text."""

    algo: str = "apg"
    seed: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Prune:
    """As the options of `tinyctl prune`."""

    keep: float = 1.0
    neurons: float = 1.0
    threshold: Literal["global", "layer"] = "global"


@dataclass(frozen=True)
class Quantize:
    """The number format, or `auto`."""

    format: str = "w16a16"


@dataclass(frozen=True)
class Check:
    """The deadline, us; by default the board's loop period."""

    deadline_us: float | None = None


@dataclass(frozen=True)
class Fly:
    """What flies, how often; `at_least`: the surviving fraction, or an environment's mean return, that is good;
    `satisfied`: the fraction that keeps to each specification."""

    on: Literal["graph", "c", "emulator"] = "c"
    episodes: int = 1000
    seed: int = 0
    at_least: float | None = None
    satisfied: float | None = None


@dataclass(frozen=True)
class Project:
    """A `tinyctl.toml`; paths in it are relative to its folder, and absolute here."""

    plant: str
    board: str
    task: str | None = None
    name: str = "policy"
    out: Path = Path("build")
    toolchain: Literal["gcc", "zig"] | None = None
    train: Train = Train()
    prune: Prune | None = None
    quantize: Quantize = Quantize()
    check: Check = Check()
    fly: Fly = Fly()
    specifications: tuple[Specification, ...] = ()


TABLES: dict[str, type] = {"train": Train, "prune": Prune, "quantize": Quantize, "check": Check, "fly": Fly}


def load_project(path: Path) -> Project:
    """Read a `tinyctl.toml`. Raises `FileError`, which names the key, for a file that is not exactly one."""
    record = read_toml(path, MAX_BYTES)
    try:
        parts: dict[str, Any] = {
            key: _part(kind, record.pop(key), key) for key, kind in TABLES.items() if key in record
        }
        specifications = specifications_of(record.pop("specs", {}), record.pop("signals", {}))
        plain = record_from_json(_Head, record, where="the first table")
        check_identifier(plain.name, "name")
        if parts.get("fly", Fly()).episodes < 1 or min(parts.get(k, Train()).seed for k in ("train", "fly")) < 0:
            raise TinyctlError("episodes are at least one, seeds at least zero")
        folder = path.resolve().parent
        return Project(
            plant=local(plain.plant, folder, ".py"),
            board=local(plain.board, folder, ".toml"),
            task=plain.task or None,
            name=plain.name,
            out=folder / plain.out,
            toolchain=plain.toolchain,
            specifications=specifications,
            **parts,
        )
    except TinyctlError as error:
        raise FileError(str(error), where=path) from None


@dataclass(frozen=True)
class _Head:
    plant: str
    board: str
    task: str = ""
    name: str = "policy"
    out: str = "build"
    toolchain: Literal["gcc", "zig"] | None = None


def project_text(plant: str, task: str, board: str, *, choice: bool = False) -> str:
    """A commented `tinyctl.toml`; `choice`: the environment lets the controller choose among actions."""
    gym = plant.startswith("gym:")
    return TEXT.format(
        plant=json.dumps(plant), task=task, board=json.dumps(board), algo="rl" if gym else "apg",
        choice='algorithm = "PPO"\n' if choice else "",
        least="of the mean return" if gym else "of the episodes survive",
    )  # fmt: skip


def local(name: str, folder: Path, suffix: str) -> str:
    """A name as it is; a path, which has a slash or the suffix, from the folder of the file that it stands in."""
    return str(folder / name) if "/" in name or name.endswith(suffix) else name


def settings_text(settings: Any, where: str) -> dict[str, str]:
    """A table of an algorithm's settings as the text that `trainers.configured` reads."""
    if not isinstance(settings, dict):
        raise TinyctlError("is not a table", where=where)
    return {key: setting_text(value, f"{where}.{key}") for key, value in settings.items()}


def setting_text(value: Any, where: str) -> str:
    """A TOML value as that text: a list's items with commas between them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        return str(value)
    if isinstance(value, list) and value:
        return ",".join(setting_text(item, where) for item in value) + ","
    raise TinyctlError(f"{value!r:.40} is not a number, a word or a list of these", where=where)


def _part(kind: type[Record], table: Any, key: str) -> Record:
    if not isinstance(table, dict):
        raise TinyctlError("is not a table", where=key)
    if kind is Train and "settings" in table:
        table = {**table, "settings": settings_text(table["settings"], "train.settings")}
    return record_from_json(kind, table, where=key)
