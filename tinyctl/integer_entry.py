"""The integer entry of a graph, `NAME_step_q` in C: observations and actions as integers, no float arithmetic at all.

A graph has one when integers reach from the screen to the last clip: one encode node reads the screen, one decode node
is read by the clip, and all between them is integer. The entry stands in for the four: it screens integers, computes
the nodes between, and clips integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyctl.contract import Contract
from tinyctl.formats import find_format
from tinyctl.layers.base import Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.convert import Decode, Encode, Requantize
from tinyctl.layers.screen import Screen
from tinyctl.network import Node


@dataclass(frozen=True)
class IntegerEntry:
    """What `step_q` is made of. Integer i of an observation stands for the x with `x gain[i] + offset[i] = i`, as the
    encode node has them; integer k of an action for `k scale`, as the decode node has it.

    `low`, `high`, `on_nan` (n_in,): what the screen's numbers are as integers; the type's most negative integer is none
    of them, it says that there is no measurement. `applied` makes the columns of past actions from those of the outputs
    `applied_outputs`; None where there are none. `act_low`, `act_high`, `initial` (n_act,): the contract's ranges, and
    the action before the first step.
    """

    encode: Node
    decode: Node
    nodes: tuple[Node, ...]
    low: Array
    high: Array
    on_nan: Array
    applied_outputs: tuple[int, ...]
    applied: Requantize | None
    act_low: Array
    act_high: Array
    initial: Array

    @property
    def obs_type(self) -> str:
        return self.encode.returns

    @property
    def act_type(self) -> str:
        return self.decode.reads

    @property
    def invalid(self) -> int:
        """The observation that is no measurement."""
        return int(np.iinfo(self.obs_type).min)

    def screen(self, obs_q: Array, applied_q: Array) -> tuple[Array, Array]:
        """Observations (batch, n_obs) and last actions (batch, n_act) to the encode node's columns (batch, n_in), and
        which rows are rejected (batch,)."""
        n_obs = obs_q.shape[1]
        bad = obs_q == self.invalid
        x = np.where(bad, self.on_nan[:n_obs], np.clip(obs_q, self.low[:n_obs], self.high[:n_obs]))
        if self.applied is not None:
            past = self.applied.run(applied_q[:, self.applied_outputs])
            x = np.concatenate([x, np.clip(past, self.low[n_obs:], self.high[n_obs:])], axis=1)
        return x.astype(self.obs_type), bad.any(axis=1)

    def clip(self, value: Array) -> Array:
        """The decode node's input (batch, n_act) to integer actions."""
        return np.clip(value, self.act_low, self.act_high).astype(self.act_type)


def find_entry(contract: Contract, nodes: Sequence[Node]) -> IntegerEntry | None:
    """The integer entry of a graph with these nodes, or None when floats are left inside."""
    screen, clip = nodes[0], nodes[-1]
    assert isinstance(screen.layer, Screen)
    assert isinstance(clip.layer, Clip)
    encodes = [n for n in nodes if isinstance(n.layer, Encode)]
    decodes = [n for n in nodes if isinstance(n.layer, Decode)]
    if not len(encodes) == len(decodes) == 1:
        return None
    (encode,), (decode,) = encodes, decodes
    between = tuple(n for n in nodes[1:-1] if n not in (encode, decode))
    whole = all(find_format(n.format).integer for n in between)  # so that nothing but the encode node reads the screen
    if not whole or clip.inputs != (decode.name,):
        return None
    assert isinstance(encode.layer, Encode)
    assert isinstance(decode.layer, Decode)
    scale = decode.layer.scale.astype(np.float64)
    # A real value on the range's end that float32 put a hair outside of it still counts.
    act_low = np.ceil(clip.layer.low / scale - 1e-6)
    act_high = np.floor(clip.layer.high / scale + 1e-6)
    limits = np.iinfo(decode.reads)
    act_low, act_high = (np.clip(end, limits.min, limits.max).astype(decode.reads) for end in (act_low, act_high))
    if not (act_low <= act_high).all():
        return None  # a range that has no integer inside
    ends = [encode.layer.run(side[None])[0] for side in (screen.layer.low, screen.layer.high, screen.layer.on_nan)]
    ends = [np.maximum(end, np.iinfo(encode.returns).min + 1) for end in ends]
    outputs = contract.applied_outputs
    ratio = scale[list(outputs)] * encode.layer.gain[contract.n_obs :]
    if (np.abs(ratio) >= 2.0**14).any():
        return None
    offset = encode.layer.offset[contract.n_obs :].astype(np.float64)
    initial = np.floor(np.array(contract.initial_applied()) / scale + 0.5)
    return IntegerEntry(
        encode,
        decode,
        between,
        np.minimum(ends[0], ends[1]),  # a folded scale may have a negative gain
        np.maximum(ends[0], ends[1]),
        ends[2],
        outputs,
        Requantize.of(decode.reads, encode.returns, ratio, offset) if outputs else None,
        act_low,
        act_high,
        np.clip(initial, act_low, act_high).astype(decode.reads),
    )
