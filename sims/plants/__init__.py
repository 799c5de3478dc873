"""The plants, one a file. `load_plant` finds them by listing this folder, or takes a path to a user's file."""

from __future__ import annotations

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


def plant_file(name_or_path: str | Path) -> Path:
    """The Python file of the plant called so, or the path itself."""
    own = Path(__file__).parent / f"{name_or_path}.py"
    return own if str(name_or_path) in plant_names() else Path(name_or_path)


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
