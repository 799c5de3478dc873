"""`tinyctl build`: a firmware image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tinyctl import api
from tinyctl.builder import FLASH
from tinyctl.cli.base import BoardName, Json, Place, ToolchainName, as_json, load_graph, results, table
from tinyctl.errors import TinyctlError
from tinyctl.run_record import Call


def command(
    source: Annotated[Path, typer.Argument(help="A graph (.tctl) or an emitted folder.")],
    board: BoardName = api.DEFAULT_BOARD,
    toolchain: ToolchainName = None,
    place: Place = FLASH,
    name: Annotated[str, typer.Option(help="Prefix of symbols, for a graph.")] = "policy",
    program: Annotated[
        Literal["loop", "hil_usart", "hil_semihosting"],
        typer.Option(
            help="The control loop, or service behind a link: for `tinyctl hil` on a board, on the virtual one."
        ),
    ] = "loop",
    hooks: Annotated[
        Path | None, typer.Option(help="C file with sensors and actuators, in place of those that do nothing.")
    ] = None,
    builder: Annotated[
        Literal["tinyctl", "platformio"],
        typer.Option("--with", help="Who builds it; PlatformIO takes gcc, and needs no registry for it."),
    ] = "tinyctl",
    project: Annotated[
        Path | None, typer.Option(help="Folder for the project, to go on with PlatformIO by hand.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The ELF file; its record goes beside it as .json.")] = Path("image.elf"),
    as_object: Json = False,
) -> None:
    """Build a firmware image for a board."""
    call = Call.of("build", locals())
    what = source if source.is_dir() else load_graph(source)
    if builder == "tinyctl" and project is None:
        image = api.build(
            what, board, toolchain=toolchain, out=out, name=name, program=program, hooks=hooks, place=place
        )
    elif builder == "platformio" and toolchain != "zig" and program == "loop" and place == FLASH:
        image = api.build_with_platformio(what, board, out=out, name=name, hooks=hooks, project=project)
    else:
        raise TinyctlError(
            "--project, gcc, the control loop and constants in flash are what --with platformio is for",
            fix="leave out what does not fit",
        )
    call.write(image.to_json(), out)
    if as_object:
        print(as_json(image.to_json()))
    else:
        results.print(
            table(
                f"Built {image.name} for {image.board}",
                [
                    ("image", str(out)),
                    ("toolchain", image.toolchain),
                    ("graph", image.graph_hash),
                    ("SHA-256", image.sha256),
                ],
            )
        )
