"""Monomials as products: each is what it says, shares what it can, and costs one product where that is possible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyctl.errors import TinyctlError
from tinyctl.layers.products import Products
from tinyctl.monomials import layer_of, up_to


@given(st.lists(st.tuples(*3 * [st.integers(0, 3)]).filter(any), min_size=1, max_size=8))
def test_columns_are_the_monomials(monomials: list[tuple[int, ...]]) -> None:
    layer, columns = layer_of(monomials, 3)
    x = np.random.default_rng(0).integers(-3, 4, (20, 3)).astype(float)
    values = x if layer is None else layer.exact(x)
    for monomial in monomials:
        assert (values[:, columns[monomial]] == np.prod(x ** np.array(monomial), axis=1)).all()


def test_all_up_to_a_degree_cost_one_product_each() -> None:
    monomials = up_to(5, 3)
    layer, columns = layer_of(monomials, 5)
    assert len(monomials) == 55
    assert layer is not None
    assert layer.n_out == 55
    assert [columns[m] for m in monomials] == list(range(55))


def test_a_rest_that_is_wanted_anyway_is_shared() -> None:
    layer, _ = layer_of([(1, 1, 0), (1, 1, 1), (2, 2, 0)], 3)
    assert layer is not None
    assert len(layer.pairs) == 3
    layer, _ = layer_of([(4, 0, 0)], 3)
    assert layer is not None
    assert len(layer.pairs) == 3
    assert layer_of([(0, 1, 0)], 3)[0] is None


@pytest.mark.parametrize("factors", [((0,), (3,)), ((0, 4), (0, 0)), ((-1,), (0,)), ((), ())])
def test_a_product_is_of_earlier_columns(factors: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(TinyctlError, match=r"earlier ones|factors"):
        Products(3, *factors)
