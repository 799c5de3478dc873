"""The graphs that C is compared with, by name: together they have every layer in every format it has a kernel for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import networks

from tinyctl.formats import FORMATS
from tinyctl.graph import Graph
from tinyctl.policy import Policy
from tinyctl.quantizer import everywhere, quantize, random_sequences

POLICIES: dict[str, Callable[[], Policy]] = {
    "tiny": networks.tiny,
    "all_layers": networks.all_layers,
    "branching": networks.branching,
    "widths": networks.widths,
    "activations": networks.activations,
    "joins": networks.joins,
    "recurrent": networks.recurrent,
    "dictionary": networks.dictionary,
    "votes": networks.votes,
    "state_space": networks.state_space,
    "csr": partial(networks.sparse, "csr"),
    "straight": partial(networks.sparse, "straight"),
}
INTEGERS = [name for name, chosen in FORMATS.items() if chosen.integer]


def in_integers(policy: Callable[[], Policy], format_name: str) -> Graph:
    """Every layer in the integer format, from the first to the last."""
    made = policy()
    return quantize(made, everywhere(made, format_name), random_sequences(made.contract, None, None))


def _in_format(policy: Callable[[], Policy], format_name: str) -> Graph:
    return networks.in_format(policy(), format_name)


MAKERS: dict[str, Callable[[], Graph]] = {
    **{f"{name}_{f}": partial(_in_format, policy, f) for name, policy in POLICIES.items() for f in FORMATS},
    **{
        f"{name}_{f}_throughout": partial(in_integers, POLICIES[name], f)
        for name in ("tiny", "all_layers", "activations", "joins", "recurrent", "dictionary")
        for f in INTEGERS
    },
    "ties": networks.ties,
    "mixed": networks.mixed,
    "curves": networks.curves,
}


@cache
def graph(name: str) -> Graph:
    """The graph of a case."""
    return MAKERS[name]()
