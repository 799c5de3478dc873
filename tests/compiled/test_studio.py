"""The studio in a real browser: it flies, recovers, and computes what `Graph.run` and the simulator do, bit for bit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import cases
import networks
import numpy as np
import pytest
from browser import Page, chromium
from guards import make_guarded

from tinyctl import api, studio
from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.recording import read_recording
from tinyctl.safety.guard import GROUP_SHIFT
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import Draws, close_loop
from tinyctl.sims.plants import load_plant
from tinyctl.trainers.apg import Config, train
from tinyctl.wasm import controller_module

SHOTS = Path(__file__).parents[2] / "build" / "studio"
STEPS = 1000
DELAY_S = 0.0123  # more than a control period of the quadrotor
WIDE = {"width": 1440, "height": 900}
SMALL = Config(iterations=60, plants=64, hidden=(16, 16), validation_episodes=20)
CASES = ("all_layers_w8a8", "recurrent_w16a16", "mixed")
pytestmark = pytest.mark.xdist_group("studio")


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[str]:
    server = studio.server(files)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    """A small policy that hovers, in float32 and in int16."""
    policy = train(load_plant("quadrotor"), config=SMALL).policy
    graph, _ = api.quantize(policy, "w16a16", plant_name="quadrotor", tune=False)
    return {"float32": Graph(policy.contract, policy.nodes), "int16": graph}


@pytest.fixture(scope="module")
def url(graphs: dict[str, Graph]) -> Iterator[str]:
    with serving(api.studio_files(graphs)) as address:
        yield address


@pytest.fixture(scope="module")
def browser(require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(require_tool("chromium"), tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The browser's page, which has complained of nothing and called nobody else after the test."""
    browser.requests.clear()
    browser.complaints.clear()
    yield browser
    assert not browser.complaints
    assert browser.requests
    assert all(request.startswith("http://127.0.0.1:") for request in browser.requests)


def opened(page: Page, url: str, start: int = 1, width: int = 720, height: int = 480, **how: bool) -> None:
    """The studio, halted at the beginning of a flight; drawing a large window takes long without a GPU."""
    page.open(url, width=width, height=height, **how)
    page.wait("window.studio?.ready")
    page.run(f"studio.running = false, studio.reset({start})")


def ticks(page: Page, steps: int) -> list[list[float]]:
    """Error and time of loss (or null) of each craft after so many control periods."""
    page.run(f"for (let k = 0; k < {steps}; k++) studio.tick()")
    return page.run("studio.flight.crafts.map((c) => [c.error, c.lost])")


def test_it_flies_in_time_and_is_drawn(page: Page, url: str) -> None:
    opened(page, url, **WIDE)
    page.run("studio.running = true")
    page.wait("studio.flight.time > 0.3")
    drawn = """(() => {
      const { stage, flight } = studio, { gl } = stage.scene, { width, height } = gl.canvas, size = 4 * width * height;
      const at = new Uint8Array(size);
      const shot = () => {
        stage.draw(0, 0);
        gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, at);
        return at.slice();
      };
      const all = shot();
      studio.shown.fill(false);
      const none = shot();
      studio.shown.fill(true);
      return [none.filter((v) => v > 0).length / size, all.filter((v, i) => v !== none[i]).length];
    })()"""
    ground, crafts = page.run(drawn)
    assert ground > 0.1
    assert crafts > 500
    page.screenshot(SHOTS / "quadrotor.png")


def test_a_push_is_recovered(page: Page, url: str) -> None:
    opened(page, url, **WIDE)
    assert all(error < 0.15 and lost is None for error, lost in ticks(page, 500))
    page.run("studio.push([1, 0, 0])")
    assert all(error > 0.15 for error, _ in ticks(page, 25))
    page.screenshot(SHOTS / "push.png")
    assert all(error < 0.15 and lost is None for error, lost in ticks(page, 500))


def test_a_drone_is_dragged_by_hand(page: Page, url: str) -> None:
    opened(page, url, **WIDE)
    ticks(page, 300)
    x, y = page.run("studio.stage.draw(0, 0), studio.stage.scene.project(studio.stage.place(0))")
    page.mouse("mousePressed", x, y, buttons=1)
    page.mouse("mouseMoved", x + 150, y, buttons=1)
    held = ticks(page, 60)
    assert all(error > 0.25 and lost is None for error, lost in held)
    page.run("studio.stage.draw(0, 0)")
    page.screenshot(SHOTS / "drag.png")
    page.mouse("mouseReleased", x + 150, y)
    assert all(error < 0.15 and lost is None for error, lost in ticks(page, 500))


def replayed(graph: Graph, observations: Array) -> Array:
    """What `Graph.run` says to these observations (steps, n_obs)."""
    controller = GraphController(graph)
    controller.reset(1)
    return np.concatenate([controller.step(row[None]) for row in observations])


def logged(page: Page, number: int, graph: Graph, steps: int) -> tuple[Array, Array, Array]:
    """Observations (steps, n_obs) float32, words of the actions (steps, n_act), and status (steps,) of a craft."""
    log = page.run(f"(({{words, width, steps}}) => Array.from(words.subarray(0, width * steps)))"
                   f"(studio.flight.crafts[{number}].controller.log)")  # fmt: skip
    n_obs, n_act = graph.contract.n_obs, graph.contract.n_act
    words = np.array(log, np.uint32).reshape(steps, n_obs + n_act + 1)
    return words[:, :n_obs].copy().view(np.float32), words[:, n_obs:-1], words[:, -1]


def downloaded(path: Path) -> Path:
    """The path, once the browser has written the file under that name."""
    for _ in range(600):
        if path.is_file():
            return path
        time.sleep(0.1)
    raise AssertionError(f"{path.name} was not saved")


def test_a_thousand_steps_are_those_of_graph_run(
    page: Page, url: str, graphs: dict[str, Graph], tmp_path: Path
) -> None:
    """With all that the page does to them: wind, gusts, a push, more delay and noise, and sensors that are lost."""
    opened(page, url, start=2)
    page.run("studio.flight.wind[0] = 0.04, studio.flight.gusts = 0.5, studio.flight.noiseScale = 3")
    ticks(page, 300)
    page.run("studio.push([0, 1, 0]), studio.flight.extraDelay = 0.004, studio.flight.fault.kind = 'lost'")
    ticks(page, 5)
    page.run("studio.flight.fault.kind = 'none'")
    assert all(lost is None for _, lost in ticks(page, STEPS - 305))
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for number, (name, graph) in enumerate(graphs.items()):
        observations, words, status = logged(page, number, graph, STEPS)
        assert np.isnan(observations).any(axis=1).sum() == status.sum() == 5  # each with its bit of the status
        actions = replayed(graph, observations)
        assert np.array_equal(actions.view(np.uint32), words)
        page.wait(f"document.querySelectorAll('.one')[{number}].innerText.includes('not finite (5 steps)')")
        page.run(f"document.querySelectorAll('.one button')[{number}].click()")
        recording = read_recording(downloaded(tmp_path / f"{name}.csv"), graph.contract)
        (episode,) = recording.episodes
        assert recording.graph_hash == graph.hash
        assert np.array_equal(episode.obs, observations, equal_nan=True)
        assert np.array_equal(episode.act.view(np.uint32), actions.view(np.uint32))


def test_what_a_guard_does_is_told(page: Page) -> None:
    """The position is lost for a while: the guard's words are shown, and its C is `Graph.run` in the browser too."""
    graph, sensor = make_guarded(), 1 << GROUP_SHIFT
    with serving(api.studio_files({"guarded": graph}, delay_s=1e-4)) as url:
        opened(page, url)
        ticks(page, 20)
        page.run("studio.flight.fault = { kind: 'lost', first: 0, count: 3 }")
        ticks(page, 4)
        observations, words, status = logged(page, 0, graph, 24)
        assert (status[20:] & sensor).all()
        assert np.array_equal(replayed(graph, observations).view(np.uint32), words)
        page.wait("document.querySelector('.one').innerText.includes('guard: sensor 0 replaced')")


def test_the_flight_is_that_of_the_simulator(page: Page, url: str, graphs: dict[str, Graph]) -> None:
    """Bit for bit, for this plant has no function of libm, with a delay of more than a period."""
    opened(page, url, start=3)
    page.run(f"studio.flight.noiseScale = 0, studio.flight.extraDelay = {DELAY_S}")
    ticks(page, 35)
    plant = load_plant("quadrotor")
    kernel = compile_plant(plant, plant.task("hover"))
    start = page.run("studio.facts.starts[3]")
    drawn = Draws(np.array([start["x"]], np.float32), np.array([start["d"]], np.float32),
                  np.array([*plant.nominal().values()], np.float32), np.zeros((35, 1, 18), np.float32))  # fmt: skip
    for number, graph in enumerate(graphs.values()):
        delay_s = page.run(f"studio.facts.controllers[{number}].delay_s")
        assert 0 < delay_s < 1e-3  # predicted for the board
        flown = close_loop(kernel, drawn, GraphController(graph), delay_s=delay_s + DELAY_S)
        x = page.run(f"Array.from(studio.flight.crafts[{number}].x)")
        assert flown.survived.all()
        assert np.array_equal(np.array(x, np.float32), flown.states[-1, 0])


def test_what_the_board_will_take_is_told(page: Page, url: str) -> None:
    opened(page, url)
    first, second = page.run("[...document.querySelectorAll('.one')].map((card) => card.innerText)")
    float_us, int_us = page.run("studio.facts.controllers.map((c) => c.timing.time_us_worst)")
    assert int_us < float_us
    assert f"{float_us:.0f} of 2000 us" in first
    assert f"{int_us:.0f} of 2000 us" in second
    assert "crazyflie21" in first
    assert "in time" in second


def test_without_webgl_charts_are_shown(page: Page, url: str) -> None:
    hide = "(old) => function (kind, ...more) { return kind === 'webgl2' ? null : old.call(this, kind, ...more) }"
    at = "HTMLCanvasElement.prototype.getContext"
    script = page.call("Page.addScriptToEvaluateOnNewDocument", source=f"{at} = ({hide})({at})")
    opened(page, url)
    ticks(page, 50)
    page.call("Page.removeScriptToEvaluateOnNewDocument", **script)
    assert page.run("[studio.stage, document.querySelectorAll('#states figure').length]") == [None, 12]


def test_settings_keys_and_the_phone(page: Page, url: str) -> None:
    opened(page, url, width=390, height=844, phone=True, light=True)
    wide = page.run("document.documentElement.scrollWidth")
    assert wide <= 390  # nothing sticks out
    page.screenshot(SHOTS / "phone.png")
    page.run("""(() => {
      const set = (label, value) => {
        const row = [...document.querySelectorAll(".row")].find((r) => r.innerText.startsWith(label));
        row.querySelector("input").value = value;
        row.querySelector("input").dispatchEvent(new Event("input"));
      };
      set("mass", 0.035), set("wind", 0.3), set("delay", 0.01), set("x", 0.5);
    })()""")
    assert page.run("[studio.flight.parameters[0], studio.flight.extraDelay, studio.flight.reference.point[0]]"
                    ) == pytest.approx([0.035, 0.01, 0.5], rel=0.02)  # fmt: skip
    assert page.run("Math.hypot(...studio.flight.wind)") == pytest.approx(0.3 * 0.027 * 9.81, rel=0.02)
    for key in " sdn":
        page.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
    assert page.run("[studio.running, studio.slow, studio.apart, studio.flight.start]") == [True, True, False, 2]
    page.run("document.getElementById('view').focus()")
    camera = "[studio.stage.scene.azimuth, studio.stage.closeness]"
    before = page.run(camera)
    page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", modifiers=8)  # with Shift
    page.call("Input.dispatchKeyEvent", type="keyDown", key="+", text="+")
    assert page.run(camera) == pytest.approx([before[0] + 0.14, 0.9])
    page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
    assert page.run("studio.flight.pushes.length") == 1
    page.run("[...document.querySelectorAll('button')].at(-1).click()")
    assert page.run("[studio.flight.extraDelay, ...studio.flight.wind]") == [0] * 7


def untrained(contract: Contract) -> Graph:
    """Random weights: whatever it does, the page shows it."""
    layer = networks.dense(np.random.default_rng(0), len(contract.inputs), contract.n_act, 0.1)
    return Graph(contract, chain([("screen", Screen.of(contract)), ("out", layer), ("clip", Clip.of(contract))]))


@pytest.mark.parametrize("name", ["pendulum", "cartpole", "cstr"])
def test_other_plants_are_shown(page: Page, name: str) -> None:
    """Two that are drawn, and one that only has charts."""
    graph = untrained(load_plant(name).task().contract)
    with serving(api.studio_files({"untrained": graph}, delay_s=0)) as url:
        opened(page, url, **WIDE)
        ticks(page, 50)
        page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.run("studio.flight.k") == 50
        page.screenshot(SHOTS / f"{name}.png")


def test_only_the_page_is_served_and_only_to_its_own_address(url: str) -> None:
    address = url.removeprefix("http://").rstrip("/")

    def answer(path: str, host: str = address, method: str = "GET") -> tuple[int, dict[str, str]]:
        connection = HTTPConnection(address, timeout=30)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        got = connection.getresponse()
        connection.close()
        return got.status, dict(got.getheaders())

    status, headers = answer("/")
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'self'; script-src 'self' 'wasm-unsafe-eval';")
    assert headers["Cache-Control"] == "no-store"
    assert answer("/facts.json", host="rebound.example")[0] == 421
    assert answer("/facts.json", host=f"{address}.example")[0] == 421
    for path in ("/../pyproject.toml", "/%2e%2e/pyproject.toml", "//etc/passwd", "/studio/page.js", "/page.js?x"):
        assert answer(path)[0] == 404
    assert answer("/", method="POST")[0] == 501


def test_the_command_ends_with_ctrl_c(graphs: dict[str, Graph], tmp_path: Path) -> None:
    file = tmp_path / "hover.tctl"
    api.save(graphs["int16"], file)
    command = [sys.executable, "-m", "tinyctl", "studio", str(file), "--no-browser", "--json", "--delay-us", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as studio_command:
        assert studio_command.stdout is not None
        address = json.loads(studio_command.stdout.readline())["url"]
        connection = HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=30)
        connection.request("GET", "/facts.json")
        facts = json.loads(connection.getresponse().read())
        connection.close()
        assert [c["name"] for c in facts["controllers"]] == ["hover"]
        studio_command.send_signal(signal.SIGINT)
        _, complaints = studio_command.communicate(timeout=60)
    assert studio_command.returncode == 0
    assert not complaints


def test_mistakes_are_told(graphs: dict[str, Graph]) -> None:
    with pytest.raises(TinyctlError, match="not those of the task"):
        api.studio_files(graphs, "pendulum", delay_s=0)
    with pytest.raises(TinyctlError, match="5 controllers"):
        api.studio_files({str(n): graphs["int16"] for n in range(5)}, delay_s=0)
    with pytest.raises(TinyctlError, match="no plant"):
        api.studio_files({"tiny": Graph(networks.tiny().contract, networks.tiny().nodes)})
    busy = studio.server({})
    with pytest.raises(TinyctlError, match="cannot be had"):
        studio.server({}, busy.server_port)
    busy.server_close()


def test_every_kind_of_controller_passes_its_selftest_as_webassembly(page: Page) -> None:
    """It compares stored steps of `Graph.run`, bit for bit."""
    modules = {f"{name}.wasm": controller_module(cases.graph(name)) for name in CASES}
    blank = {
        "index.html": b'<link rel="icon" href="icon.svg">',
        "icon.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    }
    with serving({**blank, **modules}) as url:
        page.open(url)
        for name in modules:
            made = f"WebAssembly.instantiateStreaming(fetch('{name}'))"
            assert page.run(f"{made}.then((m) => m.instance.exports.controller_selftest())") == 0, name
