"""The Koopman operator of a plant near a rest, as far as data show it: dynamic mode decomposition, residual checked.

Lifted columns s are fitted to move linearly, `s+ = A s + B u` (Williams, Kevrekidis and Rowley 2015; with inputs
Proctor, Brunton and Kutz 2018). The eigenvalues of the plant's Jacobian are those of its principal modes: they bend the
Jacobian's coordinates so that the plant moves linearly in them farther away; all others are products of these. Not
every eigenvector of A is a mode of the plant: one that misses data it was not fitted to is spurious (Colbrook and
Townsend, Rigorous data-driven computation of spectral properties of Koopman operators, 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyctl.layers.base import Array

RANK = 1e-6  # of the largest singular value: directions of lifted columns that vary less are taken for none
MISSED = 5.0  # how much a residual counts beside a relative distance of eigenvalues, when a mode is chosen


@dataclass(frozen=True)
class Modes:
    """`y+ = a y + b u` for `y = onto s` (modes,) of lifted columns s (columns,), in real form: of a conjugate pair the
    real and the imaginary part. `values` (modes,) are the eigenvalues, `residuals` (modes,) what each mode misses on
    data that were not fitted, as a share of it."""

    a: Array
    b: Array
    onto: Array
    values: Array
    residuals: Array


def decompose(s: Array, u: Array, after: Array, near: Array) -> Modes | None:
    """The principal modes: for each eigenvalue in `near` (modes,) the one that is nearest and fits best. Lifted columns
    (pairs, columns) before and `after` a step under inputs `u` (pairs, inputs) are float64 and zero at the rest; every
    other pair is fitted, the others judge. None where the columns do not have as many modes."""
    fit, judge = slice(0, None, 2), slice(1, None, 2)
    spread = s[fit].std(axis=0) + 1e-300
    _, singular, basis = np.linalg.svd(s[fit] / spread / np.sqrt(len(s[fit])), full_matrices=False)
    rank = int((singular > RANK * singular[0]).sum())
    whiten = basis[:rank] / singular[:rank, None] / spread
    s, after = s @ whiten.T, after @ whiten.T
    fitted = np.linalg.lstsq(np.hstack([s[fit], u[fit]]), after[fit], rcond=None)[0].T
    a, b = fitted[:, :rank], fitted[:, rank:]
    values, vectors = np.linalg.eig(a.T)
    free = after[judge] - u[judge] @ b.T  # what the step would have been without inputs
    missed = free @ vectors - (s[judge] @ vectors) * values
    residuals = np.linalg.norm(missed, axis=0) / np.linalg.norm(s[judge] @ vectors, axis=0)
    rows, chosen = list[Array](), list[int]()
    for wanted in near:
        cost = np.abs(values - wanted) / (abs(wanted - 1) + 1e-3) + MISSED * residuals
        cost[(values.imag == 0) != (wanted.imag == 0)] = np.inf
        cost[chosen] = np.inf
        chosen.append(int(cost.argmin()))
        if not np.isfinite(cost[chosen[-1]]):
            return None
        rows.append(vectors[:, chosen[-1]].imag if wanted.imag < 0 else vectors[:, chosen[-1]].real)
    onto = np.array(rows)
    return Modes(onto @ a @ np.linalg.pinv(onto), onto @ b, onto @ whiten, values[chosen], residuals[chosen])
