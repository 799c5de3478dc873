"""Layouts: what an ecosystem's build system wants around the C of a unit.

A folder `codegen/layouts/NAME` is a layout, found by listing: its templates are written under their own relative paths,
without the ending `.j2` and with the unit's name for `UNIT`. The C goes to `src/` beside them; in the layout `plain`,
which adds nothing, it lies in the folder itself. A layout that adapts the contract to a firmware has a module for that.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Any

import tinyctl.codegen
from tinyctl import crazyflie
from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.templates import template

PLAIN = "plain"
FOLDER = "layouts"
ADAPTERS = {"crazyflie": crazyflie}


def layout_names() -> list[str]:
    """The layouts there are, `plain` first."""
    found = (entry.name for entry in _root().iterdir() if entry.is_dir())
    return [PLAIN, *sorted(found)]


def check_layout(name: str) -> None:
    """Raise `TinyctlError` unless there is such a layout."""
    if name not in layout_names():
        raise TinyctlError(f"no layout is called {name!r:.40}", fix=f"choose one of {', '.join(layout_names())}")


def lay_out(layout: str, texts: dict[str, str], contract: Contract, values: dict[str, Any]) -> dict[str, str]:
    """The files of a layout by relative path: those of a unit, `texts`, and the packaging around them.

    `values` are what the templates are given, `unit` (the name) among them. Raises `TinyctlError`, also when the
    contract is nothing that the layout's firmware can serve.
    """
    check_layout(layout)
    if layout == PLAIN:
        return texts
    made = {f"src/{name}": text for name, text in texts.items()}
    if layout in ADAPTERS:
        values = {**values, **ADAPTERS[layout].adapter(contract)}
        made |= ADAPTERS[layout].sources()
    for path in _templates(_root() / layout, ""):
        target = path.removesuffix(".j2").replace("UNIT", values["unit"])
        made[target] = template(f"{FOLDER}/{layout}/{path}").render(values)
    return made


def _root() -> Traversable:
    return importlib.resources.files(tinyctl.codegen) / FOLDER


def _templates(folder: Traversable, prefix: str) -> Iterator[str]:
    """The paths of the templates in a folder and below it, sorted."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".j2"):
            yield prefix + entry.name
