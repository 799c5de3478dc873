"""`tinyctl show`: what is in a file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tinyctl import api
from tinyctl.cli.base import Json, as_json, results, table
from tinyctl.image import read_image
from tinyctl.layers.dense import storage_of
from tinyctl.network import Network
from tinyctl.unit import load_unit


def command(file: Path, as_object: Json = False) -> None:
    """Print a policy, a graph (.tctl), an emitted folder or an image (.elf)."""
    if file.is_dir():
        _facts(load_unit(file).to_json(), f"Unit {file.name}", as_object)
    elif file.suffix == ".elf":
        said = read_image(file).descriptor
        _facts({f.name: _plain(getattr(said, f.name)) for f in fields(said)}, f"Image {file.name}", as_object)
    else:
        _network(api.load(file), file, as_object)


def _facts(record: dict[str, Any], title: str, as_object: bool) -> None:
    if as_object:
        print(as_json(record))
    else:
        results.print(table(title, [(key, str(value)) for key, value in record.items()]))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, int | float | str) else str(value)


def _network(network: Network, file: Path, as_object: bool) -> None:
    if as_object:
        print(
            as_json(
                {
                    "schema": 1,
                    "kind": network.kind,
                    "contract_hash": network.contract.hash,
                    "graph_hash": network.hash,
                    "contract": network.contract.to_json(),
                    "nodes": [
                        {
                            "name": n.name,
                            "layer": n.layer.kind,
                            "inputs": list(n.inputs),
                            "format": n.format,
                            "storage": storage_of(n.layer),
                            "n_in": n.layer.n_in,
                            "n_out": n.layer.n_out,
                            "parameters": _parameters(n.layer),
                        }
                        for n in network.nodes
                    ],
                }
            )
        )
        return
    contract = network.contract
    results.print(
        table(
            f"{network.kind.capitalize()} {file.name}",
            [
                ("rate", f"{contract.rate_hz:g} Hz"),
                ("latency assumed", f"{contract.latency_s:g} s"),
                ("contract", contract.hash),
                ("hash", network.hash),
            ],
        )
    )
    signals = Table(title="Contract", title_justify="left")
    for heading in ("", "name", "unit", "frame", "low", "high", "instead of NaN / safe"):
        signals.add_column(heading)
    for s in contract.inputs:
        signals.add_row(s.source, s.name, s.unit, s.frame, f"{s.low:g}", f"{s.high:g}", f"{s.on_nan:g}")
    for o in contract.outputs:
        signals.add_row("output", o.name, o.unit, o.frame, f"{o.low:g}", f"{o.high:g}", f"{o.safe:g}")
    nodes = Table(title="Nodes", title_justify="left")
    for heading in ("name", "layer", "reads", "format", "storage", "shape", "parameters"):
        nodes.add_column(heading)
    for n in network.nodes:
        nodes.add_row(
            n.name,
            n.layer.kind,
            ", ".join(n.inputs),
            n.format,
            storage_of(n.layer) or "",
            f"{n.layer.n_in} → {n.layer.n_out}",
            str(_parameters(n.layer)),
        )
    results.print(signals)
    results.print(nodes)


def _parameters(layer: Any) -> int:
    return sum(v.size for f in fields(layer) if isinstance(v := getattr(layer, f.name), np.ndarray))
