"""`tinyctl export`: a policy in a format that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import Json, as_json, load_policy, results, table


def command(
    policy: Path,
    onnx: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    as_object: Json = False,
) -> None:
    """Write a policy as ONNX, its contract as metadata."""
    loaded = load_policy(policy)
    api.export_onnx(loaded, onnx)
    if as_object:
        hashes = {"contract_hash": loaded.contract.hash, "graph_hash": loaded.hash}
        print(as_json({"schema": 1, **hashes, "onnx": str(onnx)}))
    else:
        results.print(table("Exported", [("ONNX", str(onnx)), ("contract", loaded.contract.hash[:16])]))
