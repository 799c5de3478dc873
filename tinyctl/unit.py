"""The record of an emitted C unit, and where it lies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinyctl.errors import FileError, TinyctlError
from tinyctl.jsons import parse_json, record_from_json

FACTS = "unit.json"
SCHEMA = 1


@dataclass(frozen=True)
class UnitNode:
    """One C function: `symbol` computes the node `name`, a layer of `kind`, in `format`."""

    name: str
    kind: str
    format: str
    symbol: str


@dataclass(frozen=True)
class Unit:
    """A folder with `NAME.c`, `NAME.h`, `NAME_selftest.c`, `vectors.json` and these facts as `unit.json`.

    `const_bytes` counts the constants, `struct_bytes` the caller's struct, `state_bytes` its leading part that is state.
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

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{self.name}.h", f"{self.name}.c", f"{self.name}_selftest.c", "vectors.json", FACTS)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def load_unit(folder: Path) -> Unit:
    """Read the facts of an emitted folder; raises `FileError` when it is not one."""
    path = folder / FACTS
    try:
        record = parse_json(path.read_bytes(), where=path)
    except OSError:
        raise FileError(f"no {FACTS} inside", where=folder, fix="give a folder that `tinyctl emit` wrote") from None
    if not isinstance(record, dict) or record.pop("schema", None) != SCHEMA or not isinstance(record.get("nodes"), list):
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
