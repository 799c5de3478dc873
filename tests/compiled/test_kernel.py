"""Compiled plants: equal to CasADi's own evaluation, exact gradients, order four, the same bits in any batch."""

from __future__ import annotations

import casadi
import numpy as np
import pytest

from tinyctl.errors import TinyctlError
from tinyctl.sims import kernel as kernels
from tinyctl.sims.functions import step_vjp_full
from tinyctl.sims.kernel import LANES, Kernel, compile_plant
from tinyctl.sims.plant import Array, Plant
from tinyctl.sims.plants import load_plant, plant_names
from tinyctl.toolchains import host_cc

NAMES = plant_names()


def _batch(plant: Plant, n: int, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """States, inputs, parameters, disturbances of `n` plants away from any special point."""
    rng, p = np.random.default_rng(seed), plant.nominal()
    x = plant.task().initial(rng, n, p)
    x += rng.normal(0, 0.01, x.shape).astype(np.float32)
    u = rng.uniform(-0.9, 0.9, (n, len(plant.inputs))).astype(np.float32)
    return x, u, plant.randomise(plant.task(), rng, n, p)[0], plant.task().disturb(rng, n, p)


def _reference(plant: Plant) -> casadi.Function:
    """One step in float64 by CasADi's interpreter, written down independently of the kernel's."""
    task = plant.task()
    x, u, p, d, h = (casadi.SX.sym(n, k) for n, k in (
        ("x", len(plant.state_columns(task))), ("u", len(plant.inputs)), ("p", len(plant.parameters)),
        ("d", len(plant.disturbances)), ("h", 1)))  # fmt: skip
    own = len(plant.states)
    named = {q.name: p[i] for i, q in enumerate(plant.parameters)}

    def slope(z: casadi.SX) -> casadi.SX:
        drift = casadi.SX.zeros(len(task.goals)) if task.drift is None else task.drift(z, named)
        return casadi.vertcat(plant.derivative(z[:own], u, named, d), drift)

    k1 = slope(x)
    k2 = slope(x + h / 2 * k1)
    k3 = slope(x + h / 2 * k2)
    k4 = slope(x + h * k3)
    end = x + h * k1 if plant.integrator == "euler" else x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    end = casadi.vertcat(plant.project(end[:own], named), end[own:])
    g = casadi.SX.sym("g", x.numel())
    gradients = [casadi.jtimes(end, at, g, True) for at in (x, u, p, d, h)]
    return casadi.Function("reference", [x, u, p, d, h, g], [end, *gradients])


@pytest.fixture(scope="module", params=NAMES)
def compiled(request: pytest.FixtureRequest) -> Kernel:
    plant = load_plant(request.param)
    return compile_plant(plant, plant.task(), [step_vjp_full(plant, plant.task())])


def test_step_and_gradients_equal_casadi_in_float64(compiled: Kernel) -> None:
    x, u, p, d = _batch(compiled.plant, 40)
    scale = np.abs(x).max(axis=0) + 1e-3
    g = (np.random.default_rng(1).normal(size=x.shape) / scale).astype(np.float32)
    after = compiled.step(x, u, p, d, 0.01)
    g_x, g_u = compiled.step_vjp(x, u, p, d, 0.01, g)
    want, *wanted = (np.array(m).T for m in _reference(compiled.plant)(x.T, u.T, p.T, d.T, 0.01, g.T))
    np.testing.assert_allclose(after / scale, want / scale, atol=3e-6)
    np.testing.assert_allclose(g_x * scale, wanted[0] * scale, rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(g_u, wanted[1], rtol=1e-4, atol=2e-5)
    sizes = (scale, 1.0, np.abs(p).max(axis=0) + 1e-9, np.abs(d).max(axis=0) + 1e-9, 0.01)
    for got, full, size in zip(compiled.step_vjp_full(x, u, p, d, 0.01, g), wanted, sizes, strict=True):
        np.testing.assert_allclose(got * size, full * size, rtol=2e-4, atol=5e-5)


def test_cost_and_observation_gradients_equal_casadi(compiled: Kernel) -> None:
    task, (x, u, _, _) = compiled.task, _batch(compiled.plant, 7)
    u_last = u[::-1].copy()
    sx, su, sl = casadi.SX.sym("x", x.shape[1]), casadi.SX.sym("u", u.shape[1]), casadi.SX.sym("l", u.shape[1])
    cost, seen = task.cost(sx, su, sl), task.observe(sx)
    f = casadi.Function("f", [sx, su, sl], [cost, casadi.gradient(cost, sx), casadi.gradient(cost, su),
                                            casadi.gradient(cost, sl), seen,
                                            casadi.gradient(casadi.sum1(seen), sx)])  # fmt: skip
    want = [np.array(m).T for m in f(x.T, u.T, u_last.T)]
    got = (compiled.cost(x, u, u_last)[:, None], *compiled.cost_vjp(x, u, u_last, np.ones((7, 1), np.float32)),
           compiled.observe(x), compiled.observe_vjp(x, np.ones((7, task.contract.n_obs), np.float32)))  # fmt: skip
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("n", [1, 2, LANES - 1, LANES, LANES + 1, 3 * LANES + 5])
def test_a_lane_has_the_same_bits_in_any_batch_and_layout(compiled: Kernel, n: int) -> None:
    x, u, p, d = _batch(compiled.plant, n)
    g = np.ones_like(x)
    after, (g_x, g_u) = compiled.step(x, u, p, d, 0.01), compiled.step_vjp(x, u, p, d, 0.01, g)
    for k in range(0, n, 7):
        one = slice(k, k + 1)
        assert compiled.step(x[one], u[one], p[one], d[one], 0.01).tobytes() == after[one].tobytes()
        alone = compiled.step_vjp(x[one], u[one], p[one], d[one], 0.01, g[one])
        assert [a.tobytes() for a in alone] == [g_x[one].tobytes(), g_u[one].tobytes()]
    columns = [np.ascontiguousarray(a.T).T for a in (x, u, p, d)]
    assert compiled.step(*columns, 0.01).tobytes() == after.tobytes()


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_no_bit(compiled: Kernel, threads: int) -> None:
    n = 5 * LANES + 3
    x, u, p, d = _batch(compiled.plant, n)
    for inputs in ((x, u, p, d), (x, u, p[0], d)):
        alone, shared = np.zeros_like(x), np.zeros_like(x)
        arrays = [*inputs, np.array([0.01], np.float32)]
        compiled.bind("step", n, arrays, [alone])()
        call = compiled.bind("step", n, arrays, [shared], threads=threads)
        for _ in range(3):
            shared[:] = np.nan
            call()
            assert shared.tobytes() == alone.tobytes()


def test_integration_has_its_order(compiled: Kernel) -> None:
    x, u, p, d = _batch(compiled.plant, 16)
    x += 0.3 * np.random.default_rng(2).normal(size=x.shape).astype(np.float32)  # more curvature, fewer cancellations
    x = compiled.step(x, u, p, d, 0.0)  # projected

    def end(steps: int, span: float) -> Array:
        y = x
        for _ in range(steps):
            y = compiled.step(y, u, p, d, span / steps)
        return y / (np.abs(x).max(axis=0) + 1)

    for doublings in range(18):  # a plant's own time: until the error stands out from float32's
        coarse, fine, exact = (end(steps, 0.0125 * 2**doublings) for steps in (2, 4, 64))
        errors = [np.linalg.norm(e - exact, axis=1) for e in (coarse, fine)]
        if np.median(errors[0]) > 3e-5:
            break
    order, ratio = 4 if compiled.plant.integrator == "rk4" else 1, np.median(errors[0] / errors[1])
    assert 0.6 * 2**order < ratio < 1.6 * 2**order  # give or take the next order


def test_one_row_of_parameters_serves_all_lanes(compiled: Kernel) -> None:
    x, u, p, d = _batch(compiled.plant, 5)
    whole = compiled.step(x, u, np.tile(p[0], (5, 1)), d, 0.01)
    assert compiled.step(x, u, p[0], d, np.full((5, 1), 0.01)).tobytes() == whole.tobytes()


def test_a_nan_stays_in_its_lane(compiled: Kernel) -> None:
    x, u, p, d = _batch(compiled.plant, 3)
    clean = compiled.step(x, u, p, d, 0.01)
    x[1] = np.nan
    after = compiled.step(x, u, p, d, 0.01)
    assert np.isnan(after[1]).any()
    assert not compiled.margin(after)[1] > 0
    assert after[[0, 2]].tobytes() == clean[[0, 2]].tobytes()


def test_loading_a_kernel_leaves_denormals_alone(compiled: Kernel) -> None:
    x, u, p, d = _batch(compiled.plant, 3)
    compiled.step(x, u, p, d, 0.01)
    assert np.float32(1e-38) * np.float32(1e-3) > 0


def test_every_compiler_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = load_plant("quadrotor")
    x, u, p, d = _batch(plant, 50)
    results = []
    for name in (None, "zig"):
        monkeypatch.setattr(kernels, "host_cc", lambda name=name: host_cc(name))
        compiled = compile_plant(plant, plant.task())
        results.append([compiled.step(x, u, p, d, 0.01), *compiled.step_vjp(x, u, p, d, 0.01, np.ones_like(x))])
    assert [a.tobytes() for a in results[0]] == [a.tobytes() for a in results[1]]


def test_wrong_arrays_are_refused(compiled: Kernel) -> None:
    x, _, p, d = _batch(compiled.plant, 3)
    with pytest.raises(TinyctlError, match=r"u is float32\(3, 9\)"):
        compiled.step(x, np.zeros((3, 9), np.float32), p, d, 0.01)
    with pytest.raises(TinyctlError, match="x is float64"):
        compiled.bind("observe", 3, [x.astype(np.float64)], [np.zeros((3, compiled.task.contract.n_obs), np.float32)])


def test_a_compiled_kernel_is_found_again(compiled: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*args: object, **kwargs: object) -> str:
        raise AssertionError("compiled twice")

    monkeypatch.setattr(kernels, "run", no_compiler)
    again = compile_plant(compiled.plant, compiled.task, [step_vjp_full(compiled.plant, compiled.task)])
    x, u, p, d = _batch(compiled.plant, 2)
    assert again.step(x, u, p, d, 0.01).tobytes() == compiled.step(x, u, p, d, 0.01).tobytes()
