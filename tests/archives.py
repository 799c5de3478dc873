"""Archives made by hand, and what it takes to refuse one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import networks
import pytest

from tinyctl import archive
from tinyctl.archive import load, members
from tinyctl.errors import FileError

TINY = networks.in_format(networks.tiny(), "w16a16")


def assert_refused(path: Path, message: str = ".") -> None:
    with pytest.raises(FileError, match=message) as raised:
        load(path)
    text = str(raised.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    assert len(text) <= 400


def contents() -> dict[str, bytes]:
    return dict(members(TINY))


def write(path: Path, rows: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in rows:
            out.writestr(zipfile.ZipInfo(name, archive.EPOCH), data, method)
    return path
