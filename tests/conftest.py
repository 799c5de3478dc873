"""Shared by all tests: tools that may be missing, and the smallest networks that have every kind of layer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest


def require_tool(name: str) -> str:
    """The path of a program. Where it is missing the test is skipped, but fails when CI=true."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
    assert found is not None
    return found


@pytest.fixture(name="require_tool", scope="session")
def require_tool_fixture() -> Callable[[str], str]:
    """`require_tool`, for tests in folders that have a conftest of their own."""
    return require_tool
