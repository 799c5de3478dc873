"""The plant in the documentation works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from tinyctl.sims.plants import load_plant
from tinyctl.trainers.apg import Config, train


def test_the_documented_plant_trains(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "add-a-plant.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "cart.py").write_text(blocks[0])
    plant = load_plant(tmp_path / "cart.py")
    config = Config(iterations=80, plants=32, window=40, hidden=(16,), validate_every=40, validation_episodes=200)
    result = train(plant, config=config)
    error = result.scores["position_error"]
    assert result.survived.value > 0.95
    assert error is not None
    assert error.value < 0.05
