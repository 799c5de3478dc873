"""A controller as it will be deployed: formats chosen, weights encoded, every sum proven to fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.integer_entry import IntegerEntry, find_entry
from tinyctl.layers.base import FLT_MAX, Array
from tinyctl.network import Network, State


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

    @cached_property
    def integer_entry(self) -> IntegerEntry | None:
        """What `run_q` computes with; None where float32 is left between the screen and the last clip."""
        return find_entry(self.contract, self.nodes)

    def init(self, n: int) -> State:
        state, entry = super().init(n), self.integer_entry
        if entry is None or entry.applied is None:
            return state
        return replace(state, applied_q=np.tile(entry.initial.astype(np.int32), (n, 1)))

    def run_q(self, obs_q: Array, state: State) -> tuple[Array, State]:
        """One step in integers: observations (batch, n_obs) to actions (batch, n_act), of the types of `integer_entry`.

        The definition of `NAME_step_q`. Its last actions are its own: step a controller by one entry only. Raises
        `TinyctlError` when the graph has no integer entry or a shape or type does not fit.
        """
        entry = self.integer_entry
        if entry is None:
            raise TinyctlError("float32 is left inside: no integer entry", fix="quantize every layer")
        if obs_q.shape != (len(state.applied), self.contract.n_obs) or obs_q.dtype != entry.obs_type:
            raise TinyctlError(f"observations are {obs_q.dtype} of shape {obs_q.shape}, not {entry.obs_type}")
        past = np.zeros((len(obs_q), self.contract.n_act)) if state.applied_q is None else state.applied_q
        x, rejected = entry.screen(obs_q, past)
        values = {entry.encode.name: x}
        following = self._compute(entry.nodes, values, state, rejected)
        act = entry.clip(values[entry.decode.inputs[0]])
        return act, following if state.applied_q is None else replace(following, applied_q=act.astype(np.int32))

    @property
    def formats(self) -> tuple[str, ...]:
        """The number formats in use."""
        return formats_of(self.nodes)


def formats_of(nodes: Iterable[HasFormat]) -> tuple[str, ...]:
    """The formats of nodes beside f32, or f32 alone."""
    return tuple(sorted({n.format for n in nodes} - {"f32"})) or ("f32",)
