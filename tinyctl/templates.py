"""The Jinja environment of `codegen/`: a name a template does not get is an error, white space is what one sees."""

from __future__ import annotations

import importlib.resources
from functools import cache
from typing import Any

import jinja2
import numpy as np

import tinyctl.codegen


@cache
def _environment() -> jinja2.Environment:
    root = importlib.resources.files(tinyctl.codegen)
    loader = jinja2.FunctionLoader(lambda path: root.joinpath(path).read_text("utf-8"))
    return jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def template(path: str) -> jinja2.Template:
    """A template by its path below `codegen/`."""
    return _environment().get_template(path)


def page(path: str) -> jinja2.Template:
    """An HTML template: like `template`, but everything it is given is escaped."""
    return _environment().overlay(autoescape=True).get_template(path)


def literal(value: Any) -> Any:
    """A number as C text that reads back to the same bits; anything else unchanged."""
    if isinstance(value, np.float32):
        text = str(value)
        return f"{text}f" if any(c in text for c in ".e") else f"{text}.0f"
    if isinstance(value, np.unsignedinteger):
        return f"{int(value)}u"
    if isinstance(value, np.integer):
        return str(int(value))
    return value
