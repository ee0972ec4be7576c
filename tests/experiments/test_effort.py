"""Curves over a person's answers, by way of asking."""

from __future__ import annotations

import csv

import pytest
from click.testing import CliRunner

from tests.helpers.loop_case import CLASSES, QuietReporter, write_scenes
from tsfal_geo.cli.bench import command
from tsfal_geo.errors import ConfigError
from tsfal_geo.experiments.curves import CurvePoint
from tsfal_geo.experiments.effort import EffortRequest, round_answers, run_effort
from tsfal_geo.experiments.effort_table import FULL, effort_table

CHANGES = {
    "model.encoder": "tu-mobilenetv2_035",
    "model.weights": None,
    "model.scales": (1,),
    "data.chip_size": 64,
    "export.window": 256,
    "classes": CLASSES,
}
ROWS = ("ours", "random points", "live", FULL)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    source = tmp_path_factory.mktemp("data")
    write_scenes(source / "train")
    write_scenes(source / "val")
    request = EffortRequest(source, tmp_path_factory.mktemp("out"), [0], (8, 16), ROWS, CHANGES)
    return request, run_effort(request, QuietReporter())


def test_each_round_ends_at_its_answers(measured):
    request, points = measured
    for name in ("ours", "random points", "live"):
        own = [point for point in points if point.mode == name]
        # Drawn polygons of one question count one by one.
        assert [point.answers for point in own] == pytest.approx([8, 16], abs=1)
        assert own[-1].minutes > own[0].minutes > 0
    with (request.out / "curve.csv").open() as file:
        assert [row["mode"] for row in csv.DictReader(file)] == [point.mode for point in points]
    text = (request.out / "table.md").read_text()
    assert "| full supervision |" in text and "| ours | 16 |" in text
    assert (request.out / "curve.png").stat().st_size > 1000


def test_features_are_computed_once_and_kept_beside_the_runs(measured):
    request, _ = measured
    assert (request.out / "features" / "cells.json").is_file()
    assert list((request.out / "runs").glob("*/features")) == []


def test_a_second_call_only_reads_and_a_longer_one_goes_on(measured, monkeypatch):
    request, points = measured
    with monkeypatch.context() as patched:
        patched.setattr("tsfal_geo.experiments.effort.simulate", None)
        assert run_effort(request, QuietReporter()) == points
    longer = EffortRequest(request.source, request.out, [0], (8, 16, 24), ("ours",), CHANGES)
    again = run_effort(longer, QuietReporter())
    assert again[-1].answers == pytest.approx(24, abs=1)
    assert again[: len(again) - 2] == [point for point in points if point.mode == "ours"]


def test_rounds_grow_with_the_answers():
    assert round_answers((50, 200, 1000)) == [50, 100, 150, 200, 300, 450, 675, 1000]


def point(mode, seed, answers, miou, map_miou):
    return CurvePoint(mode, seed, 0, 0.1, miou, {"roof": miou}, map_miou, answers, answers / 30)


def test_the_table_compares_at_the_same_answers_seed_by_seed():
    points = [
        point(FULL, 0, 0, 0.8, None),
        point("ours", 0, 100, 0.40, 0.50), point("ours", 0, 203, 0.60, 0.70),
        point("ours", 0, 203, 0.64, 0.72),
        point("ours", 1, 201, 0.56, 0.60),
        point("random points", 0, 200, 0.50, 0.80), point("random points", 1, 200, 0.52, 0.50),
    ]  # fmt: skip
    header, rows = effort_table(points, (200, 500))
    found = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert found["ours"]["mIoU"] == "60.00 ± 5.66" and found["ours"]["of full"] == "75.0 %"
    assert found["ours"]["ahead of random points"] == "2, 1 of 2"
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["effort"], "needs --data FOLDER"),
        (["effort", "--data", ".", "--quick"], "--quick does not apply"),
        (["effort", "--data", ".", "--answers", "100,50"], "expected rising whole numbers"),
        (["table3", "--data", ".", "--answers", "50"], "--answers applies to effort alone"),
    ],
)
def test_options_that_do_not_apply_are_refused(options, text):
    result = CliRunner().invoke(command, options)
    assert result.exit_code == 2 and text in result.output


def test_unknown_rows_and_folders_without_scenes_to_report_on_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected some of ours"):
        run_effort(EffortRequest(tmp_path, tmp_path / "out", [0], rows=("best",)), QuietReporter())
    with pytest.raises(ConfigError, match=r"neither test/ nor val/"):
        run_effort(EffortRequest(tmp_path, tmp_path / "out", [0]), QuietReporter())
