"""What the commands share: their options, and output for people or for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tinyctl import api
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import write_atomically
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.policy import Policy

MAX_NPY_BYTES = 1 << 30
if TYPE_CHECKING:
    from tinyctl.storage import Tried

people = Console(stderr=True)  # progress and logs; standard output belongs to results
results = Console()

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
BoardName = Annotated[str, typer.Option("--board", help="Name of a board, or path of a TOML file.")]
ToolchainName = Annotated[
    Literal["gcc", "zig"] | None, typer.Option("--toolchain", help="gcc or zig; gcc where it is installed.")
]
Place = Annotated[
    str, typer.Option(help="Where the constants lie: flash, ram, or a region of the board, e.g. ccm.", metavar="REGION")
]
Task = Annotated[str | None, typer.Option(help="Task of the plant; its first by default.")]

Port = Annotated[str, typer.Option("--port", help="virtual, or the serial port of a board, such as /dev/ttyACM0.")]
TransportName = Annotated[
    Literal["semihosting", "usart"],
    typer.Option("--transport", help="How the virtual board is reached: fast files, or its serial line on a socket."),
]


def as_json(record: Any) -> str:
    """A record as one line of JSON; a NaN in it would be a defect of ours and raises."""
    return json.dumps(record, allow_nan=False)


def write_json(path: Path, record: Any) -> None:
    write_atomically(path, as_json(record) + "\n")


def table(title: str, rows: list[tuple[str, str]]) -> Table:
    """A two-column table of facts."""
    made = Table(title=escape(title), title_justify="left", show_header=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for row in rows:
        made.add_row(*(escape(text) for text in row))
    return made


def storages(tried: tuple[Tried, ...]) -> Table:
    """What was timed to choose how the weights are stored."""
    made = Table(title="Storage", title_justify="left")
    for heading in ("layer", "stored"):
        made.add_column(heading)
    for heading in ("cycles", "flash, B"):
        made.add_column(heading, justify="right")
    made.add_column("")
    for row in tried:
        chosen = "chosen" if row.chosen else ""
        made.add_row(escape(row.node), row.storage, f"{row.cycles:,}", f"{row.flash_bytes:,}", chosen)
    return made


@contextmanager
def progress(title: str, quiet: bool = False) -> Iterator[Any]:
    """A bar on standard error: yields `update(done, total, note)`."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, console=people, disable=quiet or not people.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total, note="": bar.update(task, completed=done, total=total, note=note)


def load_policy(path: Path) -> Policy:
    network = api.load(path)
    if not isinstance(network, Policy):
        raise TinyctlError("is a graph, not a policy", where=path, fix="its formats are already chosen")
    return network


def load_graph(path: Path) -> Graph:
    """A graph, or a policy as the float32 graph that it is."""
    network = api.load(path)
    return network if isinstance(network, Graph) else Graph(network.contract, network.nodes)


def load_npy(path: Path) -> Array:
    """The array of a .npy file that may come from anyone."""
    try:
        if path.stat().st_size > MAX_NPY_BYTES:
            raise FileError(f"larger than {MAX_NPY_BYTES >> 20} MiB", where=path)
        # Mapped, so that a header that promises more than the file holds takes no memory.
        return np.lib.format.open_memmap(path, mode="r")
    except FileError:
        raise
    except Exception as error:  # NumPy parses the header with ast.literal_eval, which raises many kinds
        raise FileError(f"not a .npy array ({error})", where=path) from None
