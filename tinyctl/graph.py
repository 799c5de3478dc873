"""A controller as it will be deployed: formats chosen, weights encoded, every sum proven to fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import FLT_MAX
from tinyctl.network import Network


class HasFormat(Protocol):
    """A node of a graph, of an emitted unit or of an image."""

    @property
    def format(self) -> str: ...


@dataclass(frozen=True)
class Graph(Network):
    """The definition of the emitted C: `act, state = graph.run(obs, state)` gives the bits the board will give.

    Refused unless interval bounds prove that no observation can make an infinity or a NaN.
    """

    kind: ClassVar[str] = "graph"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in self.bounds().items():
            if not (np.isfinite(low).all() and np.isfinite(high).all()) or max(-low.min(), high.max()) >= FLT_MAX:
                raise TinyctlError(
                    "its values could reach the largest float32",
                    where=f"node {name}",
                    fix="narrow the contract's ranges or rescale the weights",
                )

    @property
    def formats(self) -> tuple[str, ...]:
        """The number formats in use."""
        return formats_of(self.nodes)


def formats_of(nodes: Iterable[HasFormat]) -> tuple[str, ...]:
    """The formats of nodes beside f32, or f32 alone."""
    return tuple(sorted({n.format for n in nodes} - {"f32"})) or ("f32",)
