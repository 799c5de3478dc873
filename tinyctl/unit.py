"""The record of an emitted C unit, and where it lies."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinyctl.contract import MAX_SIGNALS, check_identifier
from tinyctl.errors import FileError, TinyctlError
from tinyctl.jsons import parse_json, record_from_json

FACTS = "unit.json"
SCHEMA = 1


@dataclass(frozen=True)
class UnitNode:
    """One C function: `symbol` computes the node `name`, a layer of `kind`, in `format`. After it has run, its `count`
    values of `type` (f32, i16, i8) lie `offset` bytes into the struct, until a later node takes their place."""

    name: str
    kind: str
    format: str
    symbol: str
    type: str
    offset: int
    count: int


@dataclass(frozen=True)
class Unit:
    """A folder with `NAME.c`, `NAME.h`, `NAME_selftest.c`, `vectors.json` and these facts as `unit.json`.

    `const_bytes` counts the constants, `struct_bytes` the caller's struct, `state_bytes` its leading state. `obs_q` and
    `act_q` are the types (int8, int16) of the integer entry, empty where there is none. `monitored` are the formulas
    that `NAME_monitor.c` watches; `length` is how many actions a step gives, which `NAME_player.c` plays one by one.
    """

    name: str
    n_obs: int
    n_act: int
    rate_hz: float
    state_bytes: int
    struct_bytes: int
    const_bytes: int
    contract_hash: str
    graph_hash: str
    nodes: tuple[UnitNode, ...]
    obs_q: str = ""
    act_q: str = ""
    monitored: tuple[str, ...] = ()
    length: int = 1

    def __post_init__(self) -> None:
        """Every text may enter C source or a path, so each is held to a pattern; `TinyctlError` names the one that
        is not."""
        check_identifier(self.name, "unit")
        texts = [("contract_hash", self.contract_hash, "[0-9a-f]{64}"), ("graph_hash", self.graph_hash, "[0-9a-f]{64}")]
        texts += [(key, getattr(self, key), "(int8|int16)?") for key in ("obs_q", "act_q")]
        texts += [("monitored", text, r"[\w .,()<>=+*\[\]-]{1,100000}") for text in self.monitored]
        for node in self.nodes:
            texts += [
                ("node", node.name, r"\w{1,63}"),
                ("kind", node.kind, "[a-z0-9_]{1,63}"),
                ("format", node.format, "[a-z0-9_]{1,32}"),
                ("symbol", node.symbol, r"[A-Za-z]\w{0,199}"),
                ("type", node.type, "f32|i16|i8"),
            ]
        for key, text, pattern in texts:
            if not re.fullmatch(pattern, text, re.ASCII):
                raise TinyctlError(f"{key} {text!r:.60} is not of the form {pattern}")
        for key, count in (("n_obs", self.n_obs), ("n_act", self.n_act), ("nodes", len(self.nodes))):
            if not 0 < count <= MAX_SIGNALS:
                raise TinyctlError(f"{key} {count} is not between 1 and {MAX_SIGNALS}")
        if not 0.001 <= self.rate_hz <= 1e6:
            raise TinyctlError(f"rate_hz {self.rate_hz} is not between 0.001 and 1e6")

    @property
    def beside(self) -> tuple[str, ...]:
        """What there is beside the controller, in `NAME_PART.c` and `.h`."""
        return ("monitor",) * bool(self.monitored) + ("player",) * (self.length > 1)

    @property
    def files(self) -> tuple[str, ...]:
        pairs = [f"{self.name}_{part}.{kind}" for part in self.beside for kind in "hc"]
        return (f"{self.name}.h", f"{self.name}.c", f"{self.name}_selftest.c", "vectors.json", FACTS, *pairs)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def load_unit(folder: Path) -> Unit:
    """Read the facts of an emitted folder; raises `FileError` when it is not one."""
    path = folder / FACTS
    try:
        record = parse_json(path.read_bytes(), where=path)
    except OSError:
        inner = folder / "src"
        fix = f"give {inner}" if (inner / FACTS).is_file() else "give a folder that `tinyctl emit` wrote"
        raise FileError(f"no {FACTS} inside", where=folder, fix=fix) from None
    if (
        not isinstance(record, dict)
        or record.pop("schema", None) != SCHEMA
        or not isinstance(record.get("nodes"), list)
    ):
        raise FileError("not the facts of an emitted unit", where=path)
    try:
        if not all(isinstance(node, dict) for node in record["nodes"]):
            raise TinyctlError("a node is not an object")
        nodes = tuple(record_from_json(UnitNode, node, where="node") for node in record["nodes"])
        unit = record_from_json(Unit, {**record, "nodes": nodes}, where=FACTS)
    except TinyctlError as error:
        raise FileError(str(error), where=path) from None
    missing = [name for name in unit.files if not (folder / name).is_file()]
    if missing:
        raise FileError(f"{missing[0]} is missing", where=folder, fix="emit again")
    return unit
