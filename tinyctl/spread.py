"""How far deviations spread through layers: sums of matrices times unknown vectors of bounded size.

A value's deviation is kept as `sum_k M_k y_k`. What entered (a perturbation of the observation, a rounding) is a source
y_k with a bound of its Euclidean norm and of each of its columns. An affine layer multiplies every matrix. A function
with derivatives within [centre - radius, centre + radius] multiplies by its centre; the rest, at most radius times the
deviation, becomes a source of its own. So weights of neighbouring layers are multiplied before a norm is taken, and the
plain product of norms (Szegedy et al., Intriguing properties of neural networks, section 4.3) is the worst that can
come out. The splitting of an activation into its mean and a rest is that of Combettes and Pesquet, Lipschitz
certificates for layered network structures driven by averaged activation operators, SIAM J. Math. Data Sci. 2 (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array, ElementwiseLayer, Layer

MAX_WIDTH = 4096  # a matrix of this many rows and columns takes 128 MiB
ROUNDING = 2.0**-50  # eight float64 roundings: of one entry in a product of matrices, for each of its terms
OUTWARD = 1 + 1e-9  # on every norm, for the rounding of the singular values and of the sums


@dataclass(frozen=True, eq=False)
class Source:
    """An unknown vector: its Euclidean norm is at most `norm`, its columns are at most `columns` (k,)."""

    norm: float
    columns: Array


@dataclass(frozen=True, eq=False)
class Spread:
    """A deviation (width,) as a sum over sources of a matrix (width, k) times the source; `slack` bounds the Euclidean
    norm of what float64 rounded off."""

    width: int
    terms: dict[Source, Array]
    slack: float = 0.0

    def columns(self) -> Array:
        """An upper bound (width,) of the magnitude of each column."""
        total = np.full(self.width, self.slack)
        for source, matrix in self.terms.items():
            rows = np.sqrt((matrix**2).sum(axis=1)) * source.norm
            total += np.minimum(np.abs(matrix) @ source.columns, rows)
        return total * OUTWARD

    def norm(self) -> float:
        """An upper bound of its Euclidean norm."""
        total = self.slack
        for source, matrix in self.terms.items():
            corner = float(np.linalg.norm(np.abs(matrix) @ source.columns))
            total += min(_spectral(matrix) * source.norm, corner)
        return min(total, float(np.linalg.norm(self.columns()))) * OUTWARD

    def times(self, matrix: Array) -> Spread:
        """Through `matrix` (rows, width), or a factor for each column (width,)."""
        reach = sum(float(np.linalg.norm(m)) * s.norm for s, m in self.terms.items())
        if matrix.ndim == 1:
            terms = {source: matrix[:, None] * m for source, m in self.terms.items()}
            return Spread(self.width, terms, float(np.abs(matrix).max()) * (self.slack + ROUNDING * reach))
        terms = {source: matrix @ m for source, m in self.terms.items()}
        slack = float(np.linalg.norm(matrix)) * (self.slack + ROUNDING * self.width * reach)
        return Spread(len(matrix), terms, slack)

    def plus(self, columns: Array, norm: float | None = None) -> Spread:
        """With another source, whose columns are at most `columns` (width,)."""
        if not columns.any():
            return self
        length = float(np.linalg.norm(columns)) * OUTWARD
        source = Source(length if norm is None else min(norm, length), columns)
        return Spread(self.width, {**self.terms, source: np.eye(self.width)}, self.slack)

    def through(self, layer: Layer, low: Array, high: Array, rate_hz: float) -> Spread:
        """After a layer in real arithmetic, if both inputs lie within [low, high] (n_in,)."""
        ranges = layer.jacobian(low, high)
        if ranges is not None:
            middle, reach = (ranges[0] + ranges[1]) / 2, (ranges[1] - ranges[0]) / 2 * OUTWARD
            return self.times(middle).plus(reach @ self.columns() * OUTWARD)
        form = layer.affine(rate_hz)
        made = self if form is None else self.times(form[0])
        least, most = layer.slopes(low, high)
        centre, radius = (least + most) / 2, np.where(most > least, (most - least) / 2 * OUTWARD + 1e-15, 0.0)
        rest = made.times(radius)
        moved = made if (centre == 1).all() else made.times(centre)
        return moved.plus(rest.columns(), rest.norm()) if radius.any() else moved


def beside(parts: Sequence[Spread]) -> Spread:
    """Deviations of several values as that of all their columns; what they have in common stays in common."""
    if len(parts) == 1:
        return parts[0]
    sources = {source: None for part in parts for source in part.terms}
    terms = {
        s: np.concatenate([part.terms.get(s, np.zeros((part.width, len(s.columns)))) for part in parts])
        for s in sources
    }
    return Spread(sum(part.width for part in parts), terms, sum(part.slack for part in parts))


def check_layer(layer: Layer, where: str) -> None:
    """Raise `TinyctlError` for a layer that does not bound its error, or is too wide for these matrices."""
    if type(layer).error is Layer.error or type(layer).slopes is ElementwiseLayer.slopes:
        raise TinyctlError(f"a {layer.kind} does not bound its error, so there is no certificate", where=where)
    if max(layer.n_in, layer.n_out) > MAX_WIDTH:
        raise TinyctlError(f"{max(layer.n_in, layer.n_out)} columns; a certificate takes {MAX_WIDTH}", where=where)


def _spectral(matrix: Array) -> float:
    """The largest singular value; from the diagonal where there is nothing else."""
    if matrix.shape[0] == matrix.shape[1] and not np.count_nonzero(matrix - np.diag(np.diag(matrix))):
        return float(np.abs(np.diag(matrix)).max())
    return float(np.linalg.norm(matrix, 2))
