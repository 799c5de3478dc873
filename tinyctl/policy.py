"""A trained or imported controller in float, before a number format is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tinyctl.errors import TinyctlError
from tinyctl.network import Network


@dataclass(frozen=True)
class Policy(Network):
    """Contract and float nodes. Input scaling is among the first, the output range the last: no wrapper to lose."""

    kind: ClassVar[str] = "policy"

    def __post_init__(self) -> None:
        super().__post_init__()
        for node in self.nodes:
            if node.format != "f32":
                raise TinyctlError(
                    f"format {node.format} in a policy",
                    where=f"node {node.name}",
                    fix="a network with integer nodes is a graph",
                )
