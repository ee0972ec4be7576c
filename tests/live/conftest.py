import pytest

from tests.helpers.fixtures import one_thread
from tests.helpers.loop_case import CLASSES, QuietReporter, write_scenes
from tsfal_geo.config import load_config
from tsfal_geo.instant import fitting
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request

__all__ = ["one_thread"]

SETTINGS = {
    "train.method": "instant",
    "model.encoder": "tu-mobilenetv2_035",
    "model.weights": None,
    "data.chip_size": 64,
    "data.labelled": 0.0,
    "active.answers": 45,
    "active.rounds": 3,
    "classes": CLASSES,
}


@pytest.fixture(autouse=True)
def quick_fits(monkeypatch):
    """Fits of a fifth of their length: what follows what is the same."""
    monkeypatch.setattr(fitting, "STEPS", 80)
    monkeypatch.setattr(fitting, "_FOLD_STEPS", 25)


@pytest.fixture(scope="session")
def begun(tmp_path_factory):
    """A workspace whose round 0 asks, without a label; to be copied."""
    root = tmp_path_factory.mktemp("live")
    folder = write_scenes(root / "scenes")
    train(Request(root / "ws", folder, None, load_config(None, SETTINGS)), QuietReporter())
    return root
