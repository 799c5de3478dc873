"""What the importers share: the request, hostile files read with care, names, the contract when none is given."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tinyctl.contract import C_KEYWORDS, MAX_SIGNALS, UNBOUNDED, Contract, Input, Output
from tinyctl.errors import FileError, TinyctlError, ToolMissing
from tinyctl.graph import Graph
from tinyctl.importers.parts.normalizer import Normalizer
from tinyctl.layers.base import Array
from tinyctl.policy import Policy

Column = TypeVar("Column", Input, Output)
MAX_FILE_BYTES = 64 << 20
MAX_ELEMENTS = 1 << 22  # of one array; 16 MiB of float32 are far above any controller this project is for


@dataclass(frozen=True)
class Request:
    """A file to import and what its user adds to it.

    `contract` and `rate_hz`: at least one, unless the file has a contract. `layers` names the kinds of a plain chain
    in order (a `state_dict` has weights only). `output` picks one of several outputs. `normalizer` is put first;
    `unnormalized` says that the network was trained without one. `joint_targets` asks for what a robot is sent instead
    of the raw action, where the file tells both numbers.
    """

    path: Path
    contract: Contract | None = None
    rate_hz: float | None = None
    layers: tuple[str, ...] = ()
    output: str | None = None
    normalizer: Normalizer | None = None
    unnormalized: bool = False
    joint_targets: bool = False


@dataclass(frozen=True)
class Imported:
    """The policy, or the graph of a quantized file; what it was read from, what its user must know, and what was found
    in passing."""

    policy: Policy | Graph
    source: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_bytes(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The file's bytes; raises `FileError` when it is missing or larger than `limit`."""
    try:
        if not path.is_file():
            raise FileError("no such file", where=path)
        if path.stat().st_size > limit:
            raise FileError(f"larger than {limit >> 20} MiB", where=path)
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror or error})", where=path) from None


def missing(package: str, extra: str) -> ToolMissing:
    return ToolMissing(f"the Python package {package} is not installed", fix=f"pip install 'tinyctl[{extra}]'")


def identifier(text: str, taken: Collection[str], otherwise: str) -> str:
    """A C identifier made from a foreign name, different from all in `taken`.

    Runs of anything but ASCII letters and digits become one underscore, leading digits are moved behind `otherwise`,
    a keyword gets the ending `_x`, the name is cut to 40 characters, and a number makes it unique.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", text[:400]).strip("_")[-40:].strip("_")
    if not name:
        name = otherwise
    if not name[0].isalpha():
        name = f"{otherwise}_{name}"
    if name in C_KEYWORDS:
        name = f"{name}_x"
    unique, count = name, 1
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    return unique


def identifiers(names: Sequence[str], otherwise: str) -> list[str]:
    """One identifier for each foreign name, all different."""
    made: list[str] = []
    for name in names:
        made.append(identifier(name, made, otherwise))
    return made


def contract_of(
    request: Request,
    n_in: int,
    n_out: int,
    *,
    found: Contract | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    input_range: tuple[Array, Array] | None = None,
    output_range: tuple[Array, Array] | None = None,
) -> tuple[Contract, list[str]]:
    """The contract of the request, else that `found` in the file, else an anonymous one; and warnings.

    Raises `TinyctlError` when it has other numbers of columns than the network.
    """
    contract = request.contract or found
    if contract is not None:
        if request.rate_hz is not None and request.rate_hz != contract.rate_hz:
            raise TinyctlError(f"--rate-hz {request.rate_hz:g} contradicts the contract's {contract.rate_hz:g} Hz")
        for what, count, wanted in (("input", len(contract.inputs), n_in), ("output", len(contract.outputs), n_out)):
            if count != wanted:
                raise TinyctlError(
                    f"the contract has {count} {what}s, the network {wanted}",
                    fix="a contract lists every column, in the network's order",
                )
        return contract, []
    if request.rate_hz is None:
        raise TinyctlError("the file does not tell the control rate", fix="give --rate-hz or --contract")
    for what, count in (("inputs", n_in), ("outputs", n_out)):
        if not 0 < count <= MAX_SIGNALS:
            raise TinyctlError(f"{count} {what}; 1 to {MAX_SIGNALS} are possible")
    ins = identifiers(input_names, "obs") if input_names is not None else [f"obs_{i}" for i in range(n_in)]
    outs = identifiers(output_names, "action") if output_names is not None else [f"action_{i}" for i in range(n_out)]
    made = Contract(_signals(Input, ins, input_range), _signals(Output, outs, output_range), request.rate_hz)
    return made, ["units, frames and ranges are unknown: write a contract.toml (docs/import.md) and import again"]


def preferences(choices: int) -> list[str]:
    """The names of the outputs of a controller that chooses among actions."""
    return [f"preference_{i}" for i in range(choices)]


def _signals(kind: type[Column], names: Sequence[str], span: tuple[Array, Array] | None) -> tuple[Column, ...]:
    """Anonymous signals over a range, no wider than the widest; what replaces a NaN, and what is safe, is near zero."""
    low, high = span if span is not None else (np.full(len(names), -np.inf), np.full(len(names), np.inf))
    sides = (np.clip(side, -UNBOUNDED, UNBOUNDED).astype(np.float32).tolist() for side in (low, high))
    rows = zip(names, *sides, strict=True)
    return tuple(kind(name, "1", "", least, most, min(max(0.0, least), most)) for name, least, most in rows)
