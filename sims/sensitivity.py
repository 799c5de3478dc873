"""What a flight would have observed, and how that depends on the plant's parameters: predictions over short windows.

A window is some control periods of a log. Its prediction starts from a free state and repeats the logged actions; the
derivatives come from the kernel's gradients, carried forward from period to period. The start of each window is then
eliminated (a QR factor a window), which leaves normal equations in the unknowns that all windows share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tinyctl.sims.kernel import Kernel
from tinyctl.sims.loop import split_delay
from tinyctl.sims.plant import Array

CHUNK = 64  # windows at a time: bounds the memory for derivatives


@dataclass(frozen=True)
class Unknowns:
    """What a fit varies, as one vector `z`: chosen parameters (a positive one by its logarithm, another in units of its
    range), the delay in periods, and a disturbance an episode, in units of `forces` (nd,).

    `base` (episodes, np) are the parameters by episode, `chosen` the columns that vary, `extra` (episodes, np) what is
    added to them, which is known.
    """

    base: Array
    extra: Array
    chosen: tuple[int, ...]
    logarithmic: tuple[bool, ...]
    units: Array
    with_delay: bool
    forces: Array
    period_s: float
    delay_s: float

    @property
    def size(self) -> int:
        return len(self.chosen) + self.with_delay + len(self.base) * len(self.forces)

    def values(self, z: Array) -> tuple[Array, float, Array]:
        """Parameters (episodes, np), delay in s and disturbances (episodes, nd) of `z`."""
        p, n = self.base.copy(), len(self.chosen)
        for column, logarithmic, unit, value in zip(self.chosen, self.logarithmic, self.units, z, strict=False):
            p[:, column] = np.exp(value) if logarithmic else unit * value
        delay = float(max(z[n], 0.0)) * self.period_s if self.with_delay else self.delay_s
        forces = z[n + self.with_delay :].reshape(len(p), -1) * self.forces
        return p + self.extra, delay, forces

    def slopes(self, z: Array) -> Array:
        """d parameter / d z for each chosen one."""
        rows = zip(self.logarithmic, self.units, z, strict=False)
        return np.array([np.exp(value) if logarithmic else unit for logarithmic, unit, value in rows])

    def start(self, delay_s: float) -> Array:
        """The `z` of the base values, of this delay and no disturbance."""
        first = [
            np.log(self.base[0, c]) if logarithmic else self.base[0, c] / unit
            for c, logarithmic, unit in zip(self.chosen, self.logarithmic, self.units, strict=True)
        ]
        return np.array([*first, *[delay_s / self.period_s] * self.with_delay, *[0.0] * (self.size - len(first)
                         - self.with_delay)])  # fmt: skip


@dataclass(frozen=True)
class Windows:
    """`obs` (windows, length, n_obs), the `actions` computed in and before them, (windows, before + length - 1, nu),
    and the `episode` (windows,) each belongs to."""

    obs: Array
    actions: Array
    episode: Array

    def part(self, rows: slice) -> Windows:
        return replace(self, obs=self.obs[rows], actions=self.actions[rows], episode=self.episode[rows])

    def __len__(self) -> int:
        return len(self.obs)


@dataclass(frozen=True)
class Normal:
    """Normal equations `information` (nz, nz), `gradient` (nz,), and what gives the windows' starts back:
    `dx = at_rest - by_z dz`, (windows, nx) and (windows, nx, nz)."""

    information: Array
    gradient: Array
    at_rest: Array
    by_z: Array


def predict(kernel: Kernel, unknowns: Unknowns, windows: Windows, x: Array, z: Array) -> Array:
    """Observations (windows, length, n_obs) predicted from starts `x` (windows, nx), which are projected first."""
    p, (old, new, rest), d = _inputs(unknowns, windows, z)
    x, seen, move = kernel.step(x, old[:, 0], p, d, 0.0), [], unknowns.period_s - rest
    for t in range(windows.obs.shape[1]):
        seen.append(kernel.observe(x))
        if t < old.shape[1]:
            x = kernel.step(kernel.step(x, old[:, t], p, d, rest), new[:, t], p, d, move)
    return np.stack(seen, axis=1).astype(np.float64)


def normal(
    kernel: Kernel, unknowns: Unknowns, windows: Windows, x: Array, z: Array, sigma: Array, damping: float = 0.0
) -> Normal:
    """The normal equations at starts `x` (windows, nx) and `z`, observations weighted by 1 / `sigma` (n_obs,). The
    damping, relative, is that of the starts (Levenberg and Marquardt)."""
    parts = [*_parts(kernel, unknowns, windows, x, z, sigma, damping)]
    return Normal(
        sum((np.swapaxes(a, 1, 2) @ a).sum(axis=0) for a, _, _ in parts),
        sum(np.einsum("nri,nr->i", a, b) for a, b, _ in parts),
        np.concatenate([back[:, :, -1] for _, _, back in parts]),
        np.concatenate([back[:, :, :-1] for _, _, back in parts]),
    )  # fmt: skip


def information(kernel: Kernel, unknowns: Unknowns, windows: Windows, x: Array, z: Array, sigma: Array) -> Array:
    """(windows, nz, nz): the Fisher information of each window, whose start is unknown, whatever was observed."""
    parts = _parts(kernel, unknowns, windows, x, z, sigma, 0.0)
    return np.concatenate([np.swapaxes(a, 1, 2) @ a for a, _, _ in parts])


def _parts(
    kernel: Kernel, unknowns: Unknowns, windows: Windows, x: Array, z: Array, sigma: Array, damping: float
) -> Iterator[tuple[Array, Array, Array]]:
    loose = 1 / np.maximum(np.abs(x).max(axis=0), 1e-6)  # weaker than any sensor, but no state is without bounds
    for first in range(0, len(windows), CHUNK):
        rows = slice(first, first + CHUNK)
        yield _reduced(kernel, unknowns, windows.part(rows), x[rows], z, sigma, loose, damping)


def _inputs(unknowns: Unknowns, windows: Windows, z: Array) -> tuple[Array, tuple[Array, Array, float], Array]:
    """Parameters, (held actions, new actions, the delay's rest in s) and disturbances of each window."""
    p, delay, d = unknowns.values(z)
    missed, rest = split_delay(delay, unknowns.period_s)
    steps = windows.obs.shape[1] - 1
    before = windows.actions.shape[1] - steps
    at = np.arange(steps) + before - min(missed, before - 1)
    held, new = (windows.actions[:, at - 1], windows.actions[:, at])
    return p[windows.episode].astype(np.float32), (held, new, rest), d[windows.episode].astype(np.float32)


def _reduced(
    kernel: Kernel, unknowns: Unknowns, windows: Windows, start: Array, z: Array, sigma: Array, loose: Array,
    damping: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Weighted derivatives (windows, rows, nz) and residuals (windows, rows) with the starts solved for, and what gives
    these back (windows, nx, nz + 1)."""
    p, (old, new, rest), d = _inputs(unknowns, windows, z)
    n, nx = start.shape
    nz, move = unknowns.size, unknowns.period_s - rest
    still, slopes = np.zeros((n, 1), np.float32), unknowns.slopes(z)
    inputs = (start.astype(np.float32), old[:, 0], p, d, still)
    x = kernel.step(*inputs)
    grown = np.zeros((n, nx, nx + nz))  # d x / d (start, z)
    grown[:, :, :nx] = _jacobian(kernel.step_vjp_full, inputs, nx)[0]
    rows, errors = [], []
    for t in range(windows.obs.shape[1]):
        shown = _jacobian(lambda v, g: (kernel.observe_vjp(v, g),), (x,), windows.obs.shape[2])[0]
        rows.append((shown / sigma[:, None]) @ grown)
        errors.append((windows.obs[:, t] - kernel.observe(x)) / sigma)
        if t == old.shape[1]:
            break
        turned = kernel.step(x, old[:, t], p, d, rest)
        for at, u, h, sign in ((x, old[:, t], rest, 1), (turned, new[:, t], move, -1)):
            hs = np.full((n, 1), h, np.float32)
            a, _, b, e, by_h = _jacobian(kernel.step_vjp_full, (at, u, p, d, hs), nx)
            grown = a @ grown
            grown[:, :, nx:] += _by_unknowns(unknowns, slopes, windows.episode, b, e, sign * by_h)
        x = kernel.step(turned, new[:, t], p, d, move)
    jacobian, error = np.concatenate(rows, axis=1), np.concatenate(errors, axis=1)
    return _eliminate(jacobian, error, loose, damping)


def _jacobian(product: object, inputs: tuple[Array, ...], rows: int) -> list[Array]:
    """The Jacobians (n, rows, columns) at each input of a function whose vector-Jacobian product this is."""
    n = len(inputs[0])
    g = np.tile(np.eye(rows, dtype=np.float32), (n, 1))
    found = product(*(np.repeat(a, rows, axis=0) for a in inputs), g)  # type: ignore[operator]
    return [f.reshape(n, rows, -1).astype(np.float64) for f in found]


def _by_unknowns(unknowns: Unknowns, slopes: Array, episode: Array, b: Array, e: Array, by_h: Array) -> Array:
    """What one step adds to d x / d z, (n, nx, nz)."""
    n, nx, k = len(b), b.shape[1], len(unknowns.chosen)
    added = np.zeros((n, nx, unknowns.size))
    added[:, :, :k] = b[:, :, unknowns.chosen] * slopes
    if unknowns.with_delay:
        added[:, :, k] = by_h[:, :, 0] * unknowns.period_s
    forces = len(unknowns.forces)
    for number in range(len(unknowns.base)):
        first = k + unknowns.with_delay + number * forces
        mine = episode == number
        added[mine, :, first : first + forces] = e[mine][:, :, :forces] * unknowns.forces
    return added


def _eliminate(jacobian: Array, error: Array, loose: Array, damping: float) -> tuple[Array, Array, Array]:
    n, nx = len(jacobian), len(loose)
    size = np.linalg.norm(jacobian[:, :, :nx], axis=1)
    ridge = np.zeros((n, nx, jacobian.shape[2]))
    ridge[:, np.arange(nx), np.arange(nx)] = np.sqrt(loose**2 + damping * size**2)
    both = np.concatenate([jacobian, ridge], axis=1)
    q, r = np.linalg.qr(both[:, :, :nx])
    right = np.concatenate([both[:, :, nx:], np.pad(error, ((0, 0), (0, nx)))[:, :, None]], axis=2)
    inside = np.swapaxes(q, 1, 2) @ right
    left = right - q @ inside
    return left[:, :, :-1], left[:, :, -1], np.linalg.solve(r, inside)
