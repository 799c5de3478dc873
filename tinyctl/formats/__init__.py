"""Number formats, found by listing this folder: each file has one `FORMAT`."""

from __future__ import annotations

import sys

from tinyctl.errors import TinyctlError
from tinyctl.folders import modules
from tinyctl.formats.base import Format

FORMATS: dict[str, Format] = {name: module.FORMAT for name, module in modules(sys.modules[__name__]).items()}


def find_format(name: str) -> Format:
    if name not in FORMATS:
        raise TinyctlError(f"there is no number format {name!r:.40}", fix=f"choose one of {', '.join(FORMATS)}")
    return FORMATS[name]
