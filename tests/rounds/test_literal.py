"""The preset ``literal`` through the whole loop, and the ablation with every preset."""

import json

import pytest

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.config import load_config
from tsfal_geo.experiments.ablation import run_ablation
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.rounds import training
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder

PAPER = {
    "train.lr": 0.001, "train.poly_power": 0.9, "train.batch_labelled": 2, "train.batch_unlabelled": 2,
    "train.optimiser": "sgd", "train.ohem": False, "train.class_weights": "none", "train.momentum": 0.9,
    "tsf.ema_decay": 0.99, "tsf.pseudo_weight": 1.0, "tsf.peer_weighting": "none", "tsf.ramp": 0.0,
    "tsf.bank_momentum": 0.999, "tsf.cps_view": "mixed", "tsf.manual_to_friend": False, "tsf.align": False,
    "plar.confidence": 0.7, "emd.threshold": 0.5, "emd.kernel": 3, "plar.min_margin": 0.0,
    "plar.refined_weight": "one", "plar.unresolved": "keep", "active.ranking": "paper",
    "active.granularity": "pixels", "model.encoder": "mobilenet_v2",
}  # fmt: skip
LITERAL = {
    "tsf.teacher_weighting": "none", "tsf.warmup_steps": 0, "model.aux_head": False, "emd.loss": "pixels",
    "emd.start": 0.0, "plar.covariance": "pinv", "plar.support": "manual", "plar.scale_levels": False,
    "plar.every_vote": True, "plar.logdet": False,
}  # fmt: skip


@pytest.mark.parametrize(("preset", "constants"), [("literal", PAPER | LITERAL), ("paper", PAPER)])
def test_the_paper_s_constants(preset, constants):
    config = load_config(None, {"preset": preset}).model_dump()
    found = {key: config[key.partition(".")[0]][key.partition(".")[2]] for key in constants}
    assert found == constants


@pytest.mark.parametrize(
    ("first", "second"), [("strong", "literal"), ("paper", "literal"), ("literal", "strong")]
)
def test_another_preset_replaces_all_that_the_old_one_filled_in(first, second):
    stored = load_config(None, {"preset": first, "train.lr": 0.002})
    assert load_config(None, {"preset": second}, stored).tsf == load_config(None, {"preset": second}).tsf
    assert load_config(None, {"preset": second}, stored).plar == load_config(None, {"preset": second}).plar
    assert load_config(None, {"preset": second}, stored).emd == load_config(None, {"preset": second}).emd


def test_literal_goes_through_the_whole_loop(tmp_path, monkeypatch):
    made = []
    build = training.ActiveRefiner
    monkeypatch.setattr(
        training, "ActiveRefiner", lambda *args, **more: made.append(build(*args, **more)) or made[-1]
    )
    folder = write_scenes(tmp_path / "rasters")
    config = tiny_config(preset="literal", active__oracle=True, active__budget=0.5, active__rounds=1)
    train(Request(tmp_path / "ws", folder, None, config), QuietReporter())
    workspace = WorkspaceFolder.open(tmp_path / "ws")
    assert (workspace.current_round, workspace.state.status) == (1, "done")
    shares = [workspace.metrics(number)["labelled_share"] for number in range(2)]
    assert shares[0] < shares[1] <= 0.5
    assert [refiner.emd.first.kernel_size for refiner in made] == [(3, 3)] * 2
    assert isinstance(made[0].emd, ErrorMaskDecoder) and int(made[-1].trained) > 0


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["literal", "paper", "strong"])
def test_the_ablation_runs_with_every_preset(tmp_path, preset):
    folder = write_scenes(tmp_path / "scenes")
    config = tiny_config(preset=preset, active__budget=0.5, active__rounds=1)
    modes = ("TSF", "+AL", "+AL+EMD", "+AL+PLAR", "all")
    points = run_ablation(folder, folder, config, [0], modes, tmp_path / "out", QuietReporter())
    assert {point.mode for point in points} == set(modes)
    kept = json.loads((tmp_path / "out" / "runs" / "all-0" / "state.json").read_text())
    assert kept["status"] == "done"
