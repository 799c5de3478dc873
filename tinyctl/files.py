"""Files: checked when read; complete or absent when written, under a temporary name beside the target first."""

from __future__ import annotations

import fcntl
import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinyctl.errors import FileError


def read_toml(path: Path, max_bytes: int) -> dict[str, Any]:
    """The tables of a TOML file; raises `FileError` for one that cannot be read, is larger or is not TOML."""
    try:
        if path.stat().st_size > max_bytes:
            raise FileError(f"larger than {max_bytes} bytes", where=path)
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError("no such file", where=path) from None
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror or error})", where=path) from None
    except (ValueError, RecursionError) as error:  # TOML and UTF-8 errors are ValueErrors
        raise FileError(f"not valid TOML ({error})", where=path) from None


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write `data` to `path`, making its folder; raises `FileError` and leaves nothing behind when that fails."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise FileError(f"cannot be written ({error.strerror or error})", where=path) from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Hold the file `path`, made with its folder, alone; the system lets go of it when the process ends, however it
    does. Raises `FileError`, which says `taken`, while another holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a")
    except OSError as error:
        raise FileError(f"cannot be written ({error.strerror or error})", where=path) from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FileError(taken, where=path, fix="wait for it") from None
        yield


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
