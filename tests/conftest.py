"""Shared by all tests: tools that may be missing, emitted units, golden files."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cases
import pytest

from tinyctl import toolchains
from tinyctl.boards import Board
from tinyctl.emitter import emit

os.environ["COLUMNS"] = "200"  # read once, when the command line's consoles are made: no table wraps in a test
os.environ["KERAS_BACKEND"] = "torch"  # before TensorFlow, or what imports it, brings Keras in with its own
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled plants of a test run go to a folder of their own, shared by its tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYCTL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test works in an empty folder: commands leave their records where they are called."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """`require_tool(name)`: the path of a program. Where it is missing the test is skipped, but fails when CI=true."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            message = f"{name} is not installed"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
        assert found is not None
        return found

    return find


@pytest.fixture(scope="session")
def require_gcc(require_tool: Callable[[str], str]) -> Callable[[Board], None]:
    """`require_gcc(board)`: like `require_tool`, for the gcc of the board's core."""

    def find(board: Board) -> None:
        if toolchains.cross_gcc(board.riscv) is None:
            require_tool(toolchains.CROSS_GCC["riscv" if board.riscv else "arm"][0])

    return find


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden instead of comparing with it")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: the text is what `tests/golden/NAME` holds."""

    def compare(name: str, text: str) -> None:
        if request.config.getoption("--update-golden"):
            (GOLDEN / name).write_text(text)
        assert text == (GOLDEN / name).read_text(), f"{name} has changed: look, then run pytest --update-golden"

    return compare


@pytest.fixture(scope="session")
def case_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The C of every graph of `cases`, under its own name."""
    root = tmp_path_factory.mktemp("cases")
    for name in cases.MAKERS:
        emit(cases.graph(name), root / name, name)
    return {name: root / name for name in cases.MAKERS}


@pytest.fixture(scope="session")
def require_package() -> Callable[[str], ModuleType]:
    """`require_package(name)`: a module. Where it is missing the test is skipped, but fails when CI=true."""

    def find(name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ImportError:
            message = f"the Python package {name} is not installed"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
        raise AssertionError

    return find
