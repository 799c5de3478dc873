"""The report in a real browser: it runs its one script and no other, asks for nothing, turns and plays the flights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from browser import Page, chromium

from tinyctl.report import write_report

HOSTILE = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>" + "w" * 200
CANVAS = "document.getElementById('scene')"


@pytest.fixture(scope="module")
def page(require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The report of two flights along helices, whose every name wants to be a script."""
    t = np.linspace(0, 2, 41)
    paths = [np.stack([a * np.cos(3 * t), a * np.sin(3 * t), t / 4], axis=1) for a in (0.5, 0.3)]
    turns = np.stack([np.cos(t / 8), np.sin(t / 8), 0 * t, 0 * t], axis=1)
    flown = [
        {"states": np.hstack([p, turns]).tolist(), "actions": t[:-1, None].tolist(), "disturbances": [0.1],
         "events": [{"time_s": 1.0, "what": HOSTILE}]} for p in paths
    ]  # fmt: skip
    record: dict[str, Any] = {
        "on": HOSTILE, "formats": [HOSTILE], "plant": HOSTILE, "task": "t", "episodes": 2, "seed": 0, "delay_s": 0.0,
        "survived": 0.5, "survived_ci95": [0.1, 0.9],
        "scores": {HOSTILE: {"value": 1.0, "unit": HOSTILE, "ci95": None}},
        "failures": [[1, 1.5]], "state_names": [*(f"p_{a}" for a in "xyz"), *(f"q_{a}" for a in "wxyz")],
        "times_s": t.tolist(), "trajectories": flown, "disturbance_names": [HOSTILE],
        "contract_hash": "c" * 64, "graph_hash": "d" * 64,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("report")
    (folder / "fly.json").write_text(json.dumps(record))
    path = write_report(folder)
    with chromium(require_tool("chromium"), tmp_path_factory.mktemp("chromium")) as browser:
        browser.open(path.as_uri(), width=1280)
        yield browser


def drawn(page: Page) -> str:
    return str(page.run(f"{CANVAS}.toDataURL()"))


def test_no_name_becomes_a_script_or_a_request(page: Page) -> None:
    assert page.run("typeof window.owned") == "undefined"
    assert page.complaints == []
    assert len(page.requests) == 1  # the page itself
    assert page.run("document.scrollingElement.scrollWidth <= innerWidth")
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x.png\">')")
    page.wait("document.images[0].complete")
    assert any("Content Security Policy" in told for told in page.complaints)


def test_the_flights_turn_and_play(page: Page) -> None:
    colours = f"""(() => {{
      const c = {CANVAS}, data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, found = new Set();
      for (let k = 0; k < data.length; k += 4) found.add(data[k] << 16 | data[k + 1] << 8 | data[k + 2]);
      return [found.has(0x2563eb), found.has(0xdb2777)];
    }})()"""
    assert page.run(colours) == [True, True]  # both flights are there
    assert page.run("getComputedStyle(document.querySelector('.still')).display") == "none"
    first = drawn(page)
    page.run(f"{CANVAS}.scrollIntoView()")
    x, y = page.run(f"(() => {{ const r = {CANVAS}.getBoundingClientRect(); return [r.x + 300, r.y + 150]; }})()")
    for kind, right in (("mousePressed", 0), ("mouseMoved", 80), ("mouseReleased", 80)):
        page.mouse(kind, x + right, y, buttons=1)
    turned = drawn(page)
    assert turned != first
    page.run(f"{CANVAS}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'ArrowLeft'}}))")
    assert drawn(page) != turned
    page.run("document.getElementById('play').click()")
    page.wait("!['0.00 s', '2.00 s'].includes(document.getElementById('clock').textContent)")
    page.wait("document.getElementById('clock').textContent === '2.00 s'")
    assert page.run("document.getElementById('play').textContent") == "play"
