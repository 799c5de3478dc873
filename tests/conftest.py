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

from tinyctl.emitter import emit
from tinyctl.graph import Graph

os.environ["COLUMNS"] = "200"  # read once, when the command line's consoles are made: no table wraps in a test
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled plants of a test run go to a folder of their own, shared by its tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYCTL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


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


@pytest.fixture(scope="session", params=cases.MAKERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Graph, Path]:
    """Every graph of `cases`, and the folder of its C, called `policy`."""
    graph = cases.graph(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    emit(graph, folder)
    return graph, folder


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
