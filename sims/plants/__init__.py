"""The plants, one a file. `load_plant` finds them by listing this folder, or takes a path to a user's file."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from tinyctl.errors import FileError, TinyctlError
from tinyctl.sims.plant import Plant


def plant_names() -> tuple[str, ...]:
    """The names of the plants that come with the package."""
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_")))


def plant_files(name_or_path: str | Path) -> tuple[Path, ...]:
    """The Python file of the plant called so, or the path itself; and what it imports from its folder, and these in
    turn. The file comes first."""
    own = Path(__file__).parent / f"{name_or_path}.py"
    left = [own if str(name_or_path) in plant_names() else Path(name_or_path)]
    found: dict[Path, None] = {}
    while left:
        path = left.pop()
        if path not in found:
            found[path] = None
            beside = (path.with_name(f"{name}.py") for name in _imported(path))
            left += [other for other in beside if other.is_file()]
    return tuple(found)


def plant_hash(name_or_path: str | Path) -> str | None:
    """The SHA-256 of these files' names and contents; None where the first is not there."""
    files = plant_files(name_or_path)
    if not files[0].is_file():
        return None
    lines = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files]
    return hashlib.sha256("".join([lines[0], *sorted(lines[1:])]).encode()).hexdigest()


def _imported(path: Path) -> set[str]:
    """The last parts of the names that a Python file imports; none where it is not one."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.name for alias in node.names}
            names |= {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()
    return {name.rpartition(".")[2] for name in names}


def load_plant(name_or_path: str | Path) -> Plant:
    """The plant called so, or the one in a Python file (`./arm.py`), which is run. Raises `TinyctlError`."""
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".py") or "/" in text:
        module = _module_at(Path(text))
    elif text in plant_names():
        module = importlib.import_module(f"{__name__}.{text}")
    else:
        raise TinyctlError(f"no plant {text!r}", fix=f"one of {', '.join(plant_names())}, or a path such as ./mine.py")
    plant = getattr(module, "PLANT", None)
    if not isinstance(plant, Plant):
        raise TinyctlError("the file does not define PLANT, a tinyctl.sims.plant.Plant", where=text)
    return plant


def _module_at(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileError("no such plant file", where=path)
    spec = importlib.util.spec_from_file_location(f"tinyctl_plant_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise FileError("not a Python file", where=path, fix="a plant file ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except TinyctlError:
        raise
    except Exception as error:
        raise FileError(f"{type(error).__name__}: {error}", where=path, fix="correct the plant file") from error
    return module
