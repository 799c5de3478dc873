"""Nodes in topological order: what a float `Policy` and a deployed `Graph` share, and what they compute."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from tinyctl.contract import Contract, check_identifier
from tinyctl.errors import TinyctlError
from tinyctl.formats import find_format
from tinyctl.layers.base import F32, Array, JoinLayer, Layer, StatefulLayer
from tinyctl.layers.clip import Clip
from tinyctl.layers.screen import Screen
from tinyctl.layers.unit_delay import DelayLayer

MAX_NODES = 256
REJECTED = 1  # status bit: an observation was not finite; the stateful layers kept their state


@dataclass(frozen=True)
class Node:
    """One layer, the names of the nodes whose values it reads, and the number format it computes in."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    format: str = "f32"

    @property
    def awaits(self) -> tuple[str, ...]:
        """The nodes that must have been computed in this step: its inputs, unless it returns what they were before."""
        return () if isinstance(self.layer, DelayLayer) else self.inputs

    @property
    def reads(self) -> str:
        return self.layer.reads(find_format(self.format).activation)

    @property
    def returns(self) -> str:
        return self.layer.returns(find_format(self.format).activation)


@dataclass(frozen=True)
class State:
    """What a controller remembers, for `batch` independent copies, and the status of its last step.

    `applied` (batch, n_act) float32 is the action last applied, by default the one last returned; `memory` holds the
    arrays (batch, columns) of each stateful node; `status` (batch,) uint32 the last status words. `applied_q` (batch,
    n_act) int32 is the integer action last applied, where a graph's integer entry needs it: the two entries keep their
    last actions apart.
    """

    applied: Array
    memory: dict[str, tuple[Array, ...]]
    status: Array
    applied_q: Array | None = None

    def with_applied(self, action: Array) -> State:
        """The state after something else than the returned action was applied (batch, n_act) float32."""
        applied = np.array(action, F32)
        if applied.shape != self.applied.shape:
            raise TinyctlError(f"the applied action has shape {applied.shape}, not {self.applied.shape}")
        return replace(self, applied=applied)

    def with_applied_q(self, action: Array) -> State:
        """The same for the integer entry: (batch, n_act) in its integers."""
        if self.applied_q is None or action.shape != self.applied_q.shape:
            raise TinyctlError(f"integer actions of shape {action.shape} are not kept here")
        return replace(self, applied_q=action.astype(np.int32))

    def words(self) -> Array:
        """(batch, state words) uint32: the bits of the state in the order of the emitted struct."""
        own = [self.applied] if self.applied_q is None else [self.applied, self.applied_q]
        arrays = [*own, *(a for arrays in self.memory.values() for a in arrays)]
        return np.concatenate([np.ascontiguousarray(a).view(np.uint32) for a in arrays], axis=1)


@dataclass(frozen=True)
class Network:
    """A contract and its nodes. The first is the screen of the contract, the last a clip to the outputs' ranges."""

    kind: ClassVar[str]

    contract: Contract
    nodes: tuple[Node, ...] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        _check_structure(self.contract, self.nodes)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything the network consists of, 64 hexadecimal digits."""
        from tinyctl.archive import members  # the file format knows the records, not the other way round

        digest = hashlib.sha256()
        for name, data in members(self):
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()

    @property
    def stateful(self) -> dict[str, StatefulLayer]:
        """The layers with memory, by node name, in order."""
        return {n.name: n.layer for n in self.nodes if isinstance(n.layer, StatefulLayer)}

    def init(self, n: int) -> State:
        """The state of `n` copies before their first step."""
        memory = {
            name: tuple(np.tile(slot.initial, (n, 1)) for slot in layer.state())
            for name, layer in self.stateful.items()
        }
        return State(np.tile(np.array(self.contract.initial_applied(), F32), (n, 1)), memory, np.zeros(n, np.uint32))

    def reset(self, state: State, rows: Array) -> State:
        """The state with the chosen rows (batch,) bool put back to the start."""
        fresh = self.init(len(state.status))
        pick = rows[:, None]
        memory = {
            name: tuple(np.where(pick, new, old) for new, old in zip(fresh.memory[name], arrays, strict=True))
            for name, arrays in state.memory.items()
        }
        applied_q = state.applied_q
        if applied_q is not None and fresh.applied_q is not None:
            applied_q = np.where(pick, fresh.applied_q, applied_q)
        status = np.where(rows, fresh.status, state.status)
        return State(np.where(pick, fresh.applied, state.applied), memory, status, applied_q)

    def run(self, obs: Array, state: State) -> tuple[Array, State]:
        """One step: observations (batch, n_obs) float32 to actions (batch, n_act) float32 and the next state.

        This is the definition of the arithmetic; the emitted C returns the same bits. Raises `TinyctlError` when a
        shape does not fit.
        """
        _, following = self.trace(obs, state)
        return following.applied.copy(), following  # a caller may change its action without changing the state

    def trace(self, obs: Array, state: State) -> tuple[dict[str, Array], State]:
        """Like `run`, but with the value of every node by name: what calibration looks at."""
        x = self._columns(obs, state)
        screen = self.nodes[0].layer
        assert isinstance(screen, Screen)
        rejected = screen.rejected(x)
        values = {self.nodes[0].name: screen.run(x)}
        following = self._compute(self.nodes[1:], values, state, rejected)
        return values, replace(following, applied=values[self.nodes[-1].name])

    def _compute(self, nodes: tuple[Node, ...], values: dict[str, Array], state: State, rejected: Array) -> State:
        """Compute nodes into `values`, which holds what they read; returns the state with their memory and status."""
        memory: dict[str, tuple[Array, ...]] = {}
        for node in nodes:
            sources = [values[name] for name in node.awaits]
            if isinstance(node.layer, DelayLayer):
                values[node.name] = node.layer.recall(state.memory[node.name])
            elif isinstance(node.layer, JoinLayer):
                values[node.name] = node.layer.join(*sources)
            elif isinstance(node.layer, StatefulLayer):
                values[node.name], memory[node.name] = node.layer.step(
                    sources[0], state.memory[node.name], rejected, self.contract.rate_hz
                )
            else:
                values[node.name] = node.layer.run(sources[0])
        for node in nodes:
            if isinstance(node.layer, DelayLayer):
                old, x = state.memory[node.name], values[node.inputs[0]]
                memory[node.name] = node.layer.step(x, old, rejected, self.contract.rate_hz)[1]
        memory = {name: memory[name] for name in state.memory}  # in the order of the nodes
        return replace(state, memory=memory, status=np.where(rejected, np.uint32(REJECTED), np.uint32(0)))

    def bounds(self, wider: Mapping[str, tuple[Array, Array]] | None = None) -> dict[str, tuple[Array, Array]]:
        """Interval bounds of every node's value for any observation at all, float64; of the nodes in `wider`, whose
        state may be another than they would have come to, at least those."""
        found: dict[str, tuple[Array, Array]] = {}
        with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN are answers here: no bound
            for node in self.nodes:
                whole = np.full(node.layer.n_in, np.inf)
                ranges = [found[name] for name in node.awaits] or [(-whole, whole)]
                if isinstance(node.layer, JoinLayer):
                    found[node.name] = node.layer.join_bound(*ranges)
                else:
                    found[node.name] = node.layer.bound(*ranges[0])
                if wider and node.name in wider:
                    (low, high), (least, most) = found[node.name], wider[node.name]
                    found[node.name] = np.minimum(low, least), np.maximum(high, most)
        return found

    def _columns(self, obs: Array, state: State) -> Array:
        obs = np.asarray(obs, F32)
        if obs.shape != (len(state.applied), self.contract.n_obs):
            raise TinyctlError(f"observations have shape {obs.shape}, not {(len(state.applied), self.contract.n_obs)}")
        return np.concatenate([obs, state.applied[:, list(self.contract.applied_outputs)]], axis=1)


def chain(layers: Iterable[tuple[str, Layer]], formats: Sequence[str] | None = None) -> tuple[Node, ...]:
    """Nodes that each read the one before, from (name, layer) pairs; all f32 unless `formats` says otherwise."""
    nodes: list[Node] = []
    for i, (name, layer) in enumerate(layers):
        nodes.append(Node(name, layer, (nodes[-1].name,) if nodes else (), formats[i] if formats else "f32"))
    return tuple(nodes)


def needed_for(nodes: Sequence[Node], name: str) -> set[str]:
    """The names of the nodes on which the value of node `name` depends, in this step or an earlier one."""
    needed, before = {name}, 0
    while len(needed) > before:  # once around each loop
        before = len(needed)
        for node in reversed(nodes):
            if node.name in needed:
                needed.update(node.inputs)
    return needed


def free_name(nodes: Iterable[Node], name: str, word: str) -> str:
    """A name made of `name` and `word` that none of `nodes` has; it stays a C identifier of legal length."""
    taken = {node.name for node in nodes}
    stem = f"{name[:40].rstrip('_')}_{word}"
    return next(n for n in (stem, *(f"{stem}{k}" for k in range(2, 600))) if n not in taken)


def _check_structure(contract: Contract, nodes: tuple[Node, ...]) -> None:
    """Raise `TinyctlError` for nodes that do not fit each other or the contract."""
    if not 2 <= len(nodes) <= MAX_NODES:
        raise TinyctlError(f"{len(nodes)} nodes; 2 to {MAX_NODES} are possible")
    earlier: dict[str, Node] = {}
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        where = f"node {node.name!r:.70}"
        check_identifier(node.name, "node")
        if node.name in earlier:
            raise TinyctlError("the name is taken", where=where)
        if not node.layer.fits(find_format(node.format).activation):
            raise TinyctlError(f"a {node.layer.kind} does not compute in {node.format}", where=where)
        widths = node.layer.widths if earlier else ()
        if len(node.inputs) != len(widths):
            raise TinyctlError(f"reads {len(node.inputs)} values instead of {len(widths)}", where=where)
        for name, width in zip(node.inputs, widths, strict=True):
            if name not in (earlier if node.awaits else by_name):
                raise TinyctlError(f"reads {name!r:.70}, which no earlier node computes", where=where)
            source = by_name[name]
            if source.layer.n_out != width:
                raise TinyctlError(f"takes {width} columns, but {name} has {source.layer.n_out}", where=where)
            if source.returns != node.reads:
                raise TinyctlError(
                    f"reads {node.reads}, but {name} returns {source.returns}",
                    where=where,
                    fix="put an encode or decode node between them",
                )
        earlier[node.name] = node
    _check_ends(contract, nodes)


def _check_ends(contract: Contract, nodes: tuple[Node, ...]) -> None:
    first, last = nodes[0].layer, nodes[-1].layer
    screen, clip = Screen.of(contract), Clip.of(contract)
    if not isinstance(first, Screen) or nodes[0].format != "f32":
        raise TinyctlError("the first node is not the screen", where=f"node {nodes[0].name}")
    if not all(np.array_equal(getattr(first, s), getattr(screen, s)) for s in ("low", "high", "on_nan")):
        raise TinyctlError("the screen's ranges are not the contract's", where=f"node {nodes[0].name}")
    if any(isinstance(n.layer, Screen) for n in nodes[1:]):
        raise TinyctlError("a second screen", fix="only node 0 is one")
    if not isinstance(last, Clip) or nodes[-1].format != "f32":
        raise TinyctlError("the last node is not a float32 clip to the outputs' ranges", where=f"node {nodes[-1].name}")
    if not (np.array_equal(last.low, clip.low) and np.array_equal(last.high, clip.high)):
        raise TinyctlError("the last clip's ranges are not the contract's", where=f"node {nodes[-1].name}")
