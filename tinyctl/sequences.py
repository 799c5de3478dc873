"""Policies that give a sequence of actions at a time: decide every k ticks, act every tick.

Such a policy's contract is that of its task at the decision rate: outputs `NAME_tick_0`, `NAME_tick_1`, ... up to the
next decision and `NAME_spare_J` for when that does not come; an applied action is that of the tick before the next
decision. The network is one as any other; what plays its sequences is the `Player`, in NumPy here and in C beside the
controller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.templates import literal, template
from tinyctl.version import VERSION

# Status bits of an action, the highest: those of a controller's step and of a guard grow from the lowest.
LATE, HELD, EXHAUSTED = 1 << 29, 1 << 30, 1 << 31
TICK = re.compile(r"(.+)(_(?:tick|spare)_\d{1,2})")
MOST = 64  # actions of a sequence
PATIENCE = 2  # sequences' lengths after which an action that is held still is exhausted


@dataclass(frozen=True)
class Rates:
    """Decide every `every` ticks, `length` actions at a time. A decision that does not come in time is replaced by the
    rest of the sequence before it, then by its last action, held."""

    every: int = 1
    length: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.every <= self.length <= MOST:
            raise TinyctlError(
                f"a sequence of {self.length} actions, decided every {self.every} ticks",
                fix=f"1 <= decide_every <= sequence <= {MOST}",
            )

    @property
    def suffixes(self) -> list[str]:
        """What the names of each tick's outputs end in."""
        return [f"_tick_{j}" if j < self.every else f"_spare_{j}" for j in range(self.length)]

    @property
    def exhausted(self) -> int:
        """The age in ticks from which on a sequence says nothing any more: a guard must take over."""
        return self.length * (1 + PATIENCE)


def sequenced(contract: Contract, rates: Rates) -> Contract:
    """The contract of a policy that gives sequences of the actions of `contract`."""
    if rates == Rates():
        return contract
    ticks = rates.suffixes
    outputs = tuple(replace(s, name=s.name + tick) for tick in ticks for s in contract.outputs)
    last = ticks[rates.every - 1]
    inputs = tuple(replace(s, name=s.name + last) if s.source == "applied_action" else s for s in contract.inputs)
    return Contract(inputs, outputs, contract.rate_hz / rates.every, contract.latency_s)


def rates_of(contract: Contract) -> Rates:
    """How often the policy of a contract decides, and how many actions at a time, as its outputs' names tell."""
    found = [match for s in contract.outputs if (match := TICK.fullmatch(s.name))]
    length, every = (len({m[2] for m in found if m[2].startswith(kind)}) for kind in ("_", "_tick"))
    if not every or len(found) % length:
        return Rates()
    rates, names = Rates(every, length), [m[1] for m in found[: len(found) // length]]
    told = [name + tick for tick in rates.suffixes for name in names]
    return rates if told == [s.name for s in contract.outputs] else Rates()


def rates_between(task: Contract, rate_hz: float, n_act: int) -> Rates:
    """The same of a controller that is stepped at `rate_hz` and returns `n_act` numbers, in a task."""
    return Rates(max(1, round(task.rate_hz / rate_hz)), max(1, n_act // task.n_act))


def start_of(contract: Contract) -> Array:
    """(n_act,) float32: the sequence that is taken for the one before the first, the task's initial action at every
    tick."""
    rates, first = rates_of(contract), np.array(contract.initial_applied(), F32)
    return np.tile(first.reshape(rates.length, -1)[rates.every - 1], rates.length)


def played(controller: Any, contract: Contract, late: int = 0) -> Any:
    """A controller at the rate of the task: the one with this contract, or the player of its sequences."""
    return controller if rates_of(contract) == Rates() else Player(controller, contract, late=late)


def due(tick: int, every: int, miss: int = 0) -> bool:
    """Whether a decision begins at a tick, where every `miss`-th does not."""
    number, rest = divmod(tick, every)
    return rest == 0 and not (miss and number % miss == miss - 1)


class Player:
    """Plays the sequences of a controller, tick by tick: a controller of `sims.loop` at the rate of the task.

    A decision takes effect `late` ticks after its observation; what was meant for the ticks before is skipped, and no
    other begins meanwhile. For trials: `every` is another interval of decisions than trained, of which every `miss`-th
    does not come; of each sequence the first `length` actions are played, then the last of these is held. `status`
    (n,) are the status words of the last tick, as of `NAME_tick` in C. `NAME_decide` and `NAME_act` in C do the same.
    """

    def __init__(self, controller: Any, contract: Contract, *, every: int | None = None, late: int = 0, miss: int = 0,
                 length: int | None = None) -> None:  # fmt: skip
        """`contract` is the controller's."""
        self.rates, self.start = rates_of(contract), start_of(contract)
        self.controller, self.late, self.miss = controller, late, miss
        self.n_act = contract.n_act // self.rates.length
        self.every, self.length = every or self.rates.every, length or self.rates.length
        last = (self.rates.every - 1) * self.n_act
        self.remembered = slice(last, last + self.n_act)  # what the controller takes for the action applied last

    def reset(self, n: int) -> None:
        self.controller.reset(n)
        self.said = self.sequence = np.tile(self.start, (n, 1))
        self.coming: tuple[int, Array] | None = None
        self.last = self.sequence[:, : self.n_act]
        self.tick = self.age = 0
        self.status = np.zeros(n, np.uint32)

    def step(self, observations: Array) -> Array:
        """Observations (n, n_obs) of a tick to its actions (n, n_act), float32."""
        self._arrive()
        self.status[:] = 0
        if self.coming is None and due(self.tick, self.every, self.miss):
            self.coming = self.tick, self._decide(observations)
            self.status[:] = getattr(self.controller, "status", 0)
            self._arrive()
        at = min(self.age, self.length - 1) * self.n_act
        self.last = self.sequence[:, at : at + self.n_act]
        self.status |= np.uint32(self._age_bits())
        self.tick, self.age = self.tick + 1, min(self.age + 1, self.rates.exhausted)
        return self.last

    def set_applied(self, action: Array) -> None:
        """Something other than the last action was applied (n, n_act): the next decision is told."""
        self.last = np.asarray(action, F32)

    def _arrive(self) -> None:
        """A decision takes effect when its time has come."""
        if self.coming is not None and self.tick - self.coming[0] >= self.late:
            self.age, self.sequence, self.coming = self.tick - self.coming[0], self.coming[1], None

    def _decide(self, observations: Array) -> Array:
        if not np.array_equal(self.said[:, self.remembered], self.last):
            self.said = self.said.copy()
            self.said[:, self.remembered] = self.last
            self.controller.set_applied(self.said)
        self.said = np.array(self.controller.step(observations), F32)
        return self.said

    def _age_bits(self) -> int:
        late, held, exhausted = self.every + self.late, self.rates.length, self.rates.exhausted
        return LATE * (self.age >= late) | HELD * (self.age >= held) | EXHAUSTED * (self.age >= exhausted)


def render(contract: Contract, unit: str) -> dict[str, str]:
    """The C files of the player of a unit with this contract, by name."""
    rates = rates_of(contract)
    n_act = contract.n_act // rates.length
    facts = {
        "unit": unit,
        "macro": unit.upper(),
        "version": VERSION,
        "n_obs": contract.n_obs,
        "n_act": n_act,
        "every": rates.every,
        "length": rates.length,
        "rate_hz": f"{contract.rate_hz * rates.every:g}",
        "remembered": (rates.every - 1) * n_act,
        "exhausted": rates.exhausted,
        "late_bit": f"{LATE:#x}u",
        "held_bit": f"{HELD:#x}u",
        "exhausted_bit": f"{EXHAUSTED:#x}u",
        "start": [literal(v) for v in start_of(contract)[:n_act]],
    }
    return {f"{unit}_player.{kind}": template(f"player.{kind}.j2").render(facts) for kind in ("h", "c")}
