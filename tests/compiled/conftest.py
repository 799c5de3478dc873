"""Compiled kernels of a test run go to a folder of their own, shared by its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYCTL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
