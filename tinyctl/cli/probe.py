"""`tinyctl probe`: what every node returns, read from the image as it runs."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from tinyctl import api
from tinyctl.archive import EPOCH
from tinyctl.boards import load_board
from tinyctl.cli.base import BoardName, Json, Seed, ToolchainName, as_json, load_npy, results
from tinyctl.errors import TinyctlError
from tinyctl.files import write_atomically

STEPS = 200


def command(
    source: Annotated[Path, typer.Argument(help="A policy or graph (.tctl), an emitted folder, or an image (.elf).")],
    board: BoardName = api.DEFAULT_BOARD,
    toolchain: ToolchainName = None,
    observations: Annotated[
        Path | None,
        typer.Option(help="Steps on the rows of a .npy file (steps, n_obs); ordinary and extreme ones else."),
    ] = None,
    node: Annotated[list[str] | None, typer.Option(help="Only this node; may be given several times.")] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the values as .npz: (steps, columns) by node.")] = None,
    as_object: Json = False,
) -> None:
    """Step the machine code in the emulator and read what every node returns, from outside, bit for bit."""
    from tinyctl.sims.mcu.emulator import Emulator
    from tinyctl.trial import inputs

    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        emulator = Emulator(api.image_of(source, board, toolchain, Path(scratch)), load_board(board))
    rows = inputs(emulator.n_obs, STEPS, seed) if observations is None else load_npy(observations)
    if rows.ndim != 2 or rows.shape[1] != emulator.n_obs or rows.dtype.kind not in "fiu":
        raise TinyctlError(
            f"array of shape {rows.shape}, expected (steps, {emulator.n_obs}) numbers", where=observations
        )
    nodes = {n.name: n for n in emulator.descriptor.nodes}
    for name in node or ():
        if name not in nodes:
            raise TinyctlError(f"no node {name!r:.60}", where=source, fix=f"it has {', '.join(nodes)}")
    values, _, _ = emulator.trace(rows)
    chosen = {name: values[name] for name in node or nodes}
    if out is not None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:  # what np.savez writes, without a date
            for name, value in chosen.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy", EPOCH), "w") as file:
                    np.lib.format.write_array(file, value, allow_pickle=False)
        write_atomically(out, packed.getvalue())
    facts = [
        {"name": n, "type": nodes[n].type, "columns": nodes[n].count, "low": float(v.min()), "high": float(v.max())}
        for n, v in chosen.items()
    ]
    if as_object:
        identity = {"contract_hash": emulator.descriptor.contract_hash, "graph_hash": emulator.descriptor.graph_hash}
        print(as_json({"schema": 1, **identity, "steps": len(rows), "nodes": facts}))
        return
    made = Table(title=f"What nodes returned in {len(rows)} steps", title_justify="left")
    for heading in ("node", "type"):
        made.add_column(heading)
    for heading in ("columns", "least", "most"):
        made.add_column(heading, justify="right")
    for fact in facts:
        made.add_row(
            escape(str(fact["name"])), str(fact["type"]), *(f"{fact[key]:g}" for key in ("columns", "low", "high"))
        )
    results.print(made)
