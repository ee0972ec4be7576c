"""Rows of the ablation share their first training and differ from their first queries on."""

import csv
import json

import pytest
from click.testing import CliRunner

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.cli.ablation import command
from tsfal_geo.errors import ConfigError
from tsfal_geo.experiments import ablation
from tsfal_geo.experiments.ablation import mode_config, run_ablation
from tsfal_geo.experiments.curves import CurvePoint, miou_at, summary, write_results
from tsfal_geo.workspace.folder import WorkspaceFolder

MODES = ("TSF+random", "all", "TSF")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = write_scenes(tmp_path_factory.mktemp("scenes"))
    out = tmp_path_factory.mktemp("out")
    config = tiny_config(active__budget=0.5, active__rounds=1)
    return folder, out, config, run_ablation(folder, folder, config, [0], MODES, out, QuietReporter())


def rounds(out, name):
    workspace = WorkspaceFolder.open(out / "runs" / f"{name}-0")
    folders = [workspace.round_dir(number) for number in range(workspace.current_round + 1)]
    return [json.loads((folder / "metrics.json").read_text()) for folder in folders]


def test_rows_with_queries_share_their_first_training_and_ask_for_the_same_share(results):
    _, out, _, _ = results
    for name, strategy in (("tsf-random", "random"), ("all", "plar")):
        first, queried, *trained = rounds(out, name)
        assert first["miou"] == rounds(out, "first")[0]["miou"]
        assert queried["strategy"] == strategy and "steps" not in queried
        assert queried["query_pixels"] == pytest.approx(first["query_pixels"], rel=0.25)
        assert [values["steps"] for values in trained] == [2]
        # PLAR selects cells with disagreeing votes, which may be fewer than the budget allows.
        reached = trained[-1]["labelled_share"]
        assert reached == pytest.approx(0.5, abs=0.01 if name == "tsf-random" else 0.05) and reached < 0.501


def test_a_row_without_queries_trains_as_long(results):
    _, out, config, _ = results
    assert rounds(out, "tsf")[0]["steps"] == 5
    bound = mode_config(config, "full supervision", 0)
    assert bound.train.steps == 5 and bound.train.batch_labelled == 4
    assert mode_config(config, "TSF", 0).train.batch_labelled == 2
    with pytest.raises(ConfigError, match="expected some of"):
        mode_config(config, "nothing", 0)


def test_curve_and_table_and_a_second_call_only_reads(results):
    folder, out, config, points = results
    with (out / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["mode"], int(row["round"])) for row in rows] == [
        *(("TSF+random", n) for n in range(2)), *(("all", n) for n in range(2)), ("TSF", 0)
    ]  # fmt: skip
    assert (out / "curve.png").stat().st_size > 1000 and "| all |" in (out / "table.md").read_text()
    before = (out / "runs" / "all-0" / "rounds" / "002" / "model.safetensors").stat().st_mtime_ns
    assert run_ablation(folder, folder, config, [0], MODES, out, QuietReporter()) == points
    assert (out / "runs" / "all-0" / "rounds" / "002" / "model.safetensors").stat().st_mtime_ns == before


def point(mode, seed, number, share, miou):
    return CurvePoint(mode, seed, number, share, miou, {"roof": miou})


def test_the_table_says_what_part_of_full_supervision_is_reached_at_which_share():
    points = [
        point("all", 0, 0, 0.148, 0.30), point("all", 0, 1, 0.19, 0.38), point("all", 0, 2, 0.235, 0.47),
        point("all", 1, 0, 0.152, 0.34), point("all", 1, 1, 0.20, 0.40), point("all", 1, 2, 0.24, 0.43),
        point("TSF", 0, 0, 0.15, 0.30),
        point("full supervision", 0, 0, 1.0, 0.48), point("full supervision", 1, 0, 1.0, 0.52),
    ]  # fmt: skip
    header, rows = summary(points, ["roof"])
    table = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    first = 0.30 + 0.08 * (0.15 - 0.148) / (0.19 - 0.148)
    half = 0.38 + 0.09 * (0.20 - 0.19) / (0.235 - 0.19)
    assert table["all"]["at 15%"] == f"{100 * (first + 0.34) / 2 / 0.5:.1f} %"
    assert table["all"]["at 20%"] == f"{100 * (half + 0.40) / 2 / 0.5:.1f} %"
    assert table["all"]["at 24%"] == table["all"]["of full"] == "90.0 %"
    assert (table["all"]["mIoU"], table["all"]["roof"]) == ("45.00 ± 2.83", "45.00 ± 2.83")
    assert (table["TSF"]["of full"], table["TSF"]["at 15%"], table["TSF"]["at 24%"]) == (
        "60.0 %",
        "60.0 %",
        "–",
    )
    assert summary(points[:7], ["roof"])[1][0][5:9] == ["–"] * 4


def test_answers_and_minutes_stand_in_table_and_curve(tmp_path):
    points = [
        CurvePoint("all", seed, number, 0.1 + number / 10, 0.4, {"roof": 0.4}, None, answers, answers / 30)
        for seed in range(2)
        for number, answers in enumerate((0, 90 + 20 * seed))
    ]
    header, rows = summary([*points, point("old", 0, 0, 0.1, 0.3)], ["roof"])
    table = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert (table["all"]["answers"], table["all"]["minutes"]) == ("100", "3.3")
    assert (table["old"]["answers"], table["old"]["minutes"]) == ("–", "–")
    pictures = set()
    for x_axis in ("pixels", "answers", "minutes"):
        write_results(points, tmp_path, x_axis)
        pictures.add((tmp_path / "curve.png").read_bytes())
    assert len(pictures) == 3
    with (tmp_path / "curve.csv").open() as file:
        read = [(row["answers"], row["minutes"]) for row in csv.DictReader(file)]
    assert read == [("0", "0.0000"), ("90", "3.0000"), ("0", "0.0000"), ("110", "3.6667")]


def test_nothing_is_said_about_shares_far_from_those_of_a_run():
    run = [point("all", 0, 0, 0.15, 0.3), point("all", 0, 1, 0.2, 0.4)]
    assert miou_at(run, 0.175) == pytest.approx(0.35) and miou_at(run, 0.209) == 0.4
    assert miou_at(run, 0.24) is None and miou_at(run, 0.13) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), (0.15, None)),
        (("--set", "data.labelled=0.3", "--set", "active.budget=0.5"), (0.3, 0.5)),
        (("--set", "data.labelled=0.3", "--labelled", "0.2", "--budget", "0.4"), (0.2, 0.4)),
    ],
)
def test_shares_of_the_configuration_are_kept_where_no_option_says_otherwise(
    tmp_path, monkeypatch, options, expected
):
    calls = []
    monkeypatch.setattr(ablation, "run_ablation", lambda *args: calls.append(args[2]) or [])
    folders = ("--raster", tmp_path, "--val", tmp_path, "--out", tmp_path / "out")
    assert CliRunner().invoke(command, [*map(str, folders), *options]).exit_code == 0
    assert (calls[0].data.labelled, calls[0].active.budget) == expected
