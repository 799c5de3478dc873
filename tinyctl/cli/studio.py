"""`tinyctl studio`: fly it yourself, in the browser."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import BoardName, Json, Seed, Task, ToolchainName, as_json, load_graph, people, results


def command(
    sources: Annotated[list[Path], typer.Argument(help="Policies or graphs (.tctl) to fly together, four at most.")],
    plant: Annotated[
        str | None,
        typer.Option(help="Name of a plant, or path of a Python file; by default the one that has this contract."),
    ] = None,
    task: Task = None,
    board: BoardName = api.DEFAULT_BOARD,
    toolchain: ToolchainName = None,
    delay_us: Annotated[
        float | None,
        typer.Option(help="Delay of the actions; by default the predicted worst inference time on the board.", min=0),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of 127.0.0.1; by default a free one.", min=0, max=65535)] = 0,
    seed: Seed = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    as_object: Json = False,
) -> None:
    """Fly the emitted C in a page of your browser, where you can push it; ends with Ctrl-C."""
    from tinyctl import studio

    graphs = {name: load_graph(path) for name, path in zip(names(sources), sources, strict=True)}
    with people.status("Compiling for the browser"):
        made = api.studio_files(
            graphs, plant, task, board=board, toolchain=toolchain,
            delay_s=None if delay_us is None else delay_us * 1e-6, seed=seed,
        )  # fmt: skip
    with studio.server(made, port) as serving:
        url = f"http://{studio.ADDRESS}:{serving.server_port}/"
        if as_object:
            print(as_json({"schema": 1, "url": url}), flush=True)
        else:
            results.print(f"The studio is at {url} until Ctrl-C", highlight=False)
        if browser:
            webbrowser.open(url)
        with suppress(KeyboardInterrupt):  # how one leaves it
            serving.serve_forever()


def names(sources: list[Path]) -> list[str]:
    """What the page calls these files: their names without an ending, numbered where several are the same."""
    stems = [path.stem for path in sources]
    return [f"{stem} {1 + stems[:n].count(stem)}" if stems.count(stem) > 1 else stem for n, stem in enumerate(stems)]
