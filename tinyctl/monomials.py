"""Monomials of columns as a `products` layer, in which they share their factors."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations_with_replacement

from tinyctl.layers.products import Products

Exponents = tuple[int, ...]  # of each column


def up_to(width: int, degree: int) -> tuple[Exponents, ...]:
    """All monomials of degree 1 to `degree` in `width` columns, by degree."""
    return tuple(
        tuple(chosen.count(i) for i in range(width))
        for d in range(1, degree + 1)
        for chosen in combinations_with_replacement(range(width), d)
    )


def layer_of(monomials: Iterable[Exponents], width: int) -> tuple[Products | None, dict[Exponents, int]]:
    """The layer that appends these monomials to `width` columns, and the column of each monomial it computes.

    A monomial is one product where two computed ones give it; else the rest beside one of its factors comes first: a
    rest that is wanted anyway if there is one. None where all are of degree one.
    """
    wanted = sorted(dict.fromkeys(monomials), key=sum)
    columns: dict[Exponents, int] = {tuple(int(i == k) for i in range(width)): k for k in range(width)}
    pairs: list[tuple[int, int]] = []

    def make(monomial: Exponents) -> int:
        if monomial in columns:
            return columns[monomial]
        split = next(((c, _rest(monomial, c)) for c in reversed(columns) if _rest(monomial, c) in columns), None)
        if split is None:
            factors = [tuple(int(i == k) for i in range(width)) for k in range(width) if monomial[k]]
            chosen = min(factors, key=lambda f: _rest(monomial, f) not in wanted)
            make(_rest(monomial, chosen))
            split = chosen, _rest(monomial, chosen)
        pairs.append((columns[split[0]], columns[split[1]]))
        columns[monomial] = width + len(pairs) - 1
        return columns[monomial]

    for monomial in wanted:
        make(monomial)
    made = Products(width, tuple(a for a, _ in pairs), tuple(b for _, b in pairs)) if pairs else None
    return made, columns


def _rest(monomial: Exponents, factor: Exponents) -> Exponents:
    return tuple(m - f for m, f in zip(monomial, factor, strict=True))
