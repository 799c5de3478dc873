"""What the verbs share: plants and environments by name, boards, and what to install where something is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinyctl.boards import Board, load_board
from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError, ToolMissing

if TYPE_CHECKING:
    from tinyctl.sims.environments import Environment
    from tinyctl.sims.plant import Plant

FORMS = ("graph", "c", "emulator", "board")
DEFAULT_BOARD = "crazyflie21"


def plant(name_or_path: str | Path) -> Plant:
    """A plant by name or by the path of a Python file."""
    try:
        from tinyctl.sims.plants import load_plant

        return load_plant(name_or_path)
    except ImportError as error:
        raise missing(error, "sim") from None


def environment(name: str, rate_hz: float | None = None) -> Environment:
    """A Gymnasium environment and the contract that follows from it."""
    try:
        from tinyctl.sims import environments
    except ImportError as error:
        raise missing(error, "sim") from None
    return environments.environment(name, rate_hz)


def plant_of(contract: Contract) -> tuple[str, str] | None:
    """The name of the plant that comes with tinyctl, and of its task, whose contract this is."""
    try:
        from tinyctl.sims.plants import load_plant, plant_names

        plants = [load_plant(name) for name in plant_names()]
    except ImportError:
        return None
    found = ((p.name, name) for p in plants for name in p.tasks if p.task(name).contract.hash == contract.hash)
    return next(found, None)


def require_train() -> None:
    """Raise `ToolMissing`, which says how to get it, when training cannot be imported."""
    try:
        import tinyctl.trainers.apg  # noqa: F401
    except ImportError as error:
        raise missing(error, "train") from None


def board_of(given: str | Path | Board) -> Board:
    return given if isinstance(given, Board) else load_board(given)


def missing(error: ImportError, extra: str) -> TinyctlError:
    if error.name and error.name.startswith("tinyctl"):
        raise error
    return ToolMissing(f"the Python package {error.name} is not installed", fix=f"pip install 'tinyctl[{extra}]'")
