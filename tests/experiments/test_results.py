import csv
import json
from dataclasses import replace

import pytest

from tsfal_geo.config import load_config
from tsfal_geo.experiments.cost import cost, machine, measured, relative_costs
from tsfal_geo.experiments.results import write
from tsfal_geo.experiments.tables import PAPER, TABLES


def read(path):
    with path.open() as file:
        return {row["system"]: row for row in csv.DictReader(file)}


def test_ours_stands_beside_what_was_published_with_the_difference(finished, tmp_path):
    jobs = [
        finished("TSF", 0, 0.75, "1/16"),
        finished("TSF", 1, 0.77, "1/16"),
        finished("MT", 0, 0.70, "1/16"),
    ]
    write(TABLES["table1"], jobs, tmp_path, published=True)
    rows = read(tmp_path / "table.csv")
    assert rows["TSF"]["1/16"] == "76.00 ± 1.41" and rows["TSF"]["seeds"] == "2"
    assert rows["TSF"]["1/16, paper"] == "75.59" and rows["TSF"]["difference"] == "+0.41"
    assert rows["MT"]["1/16, paper"] == "–" and rows["MT"]["difference"] == "–"
    assert "| TSF | 76.00 ± 1.41 | 75.59 | +0.41 |" in (tmp_path / "table.md").read_text()


def test_tables_by_class_have_shares_and_classes_and_latex_is_escaped(finished, tmp_path):
    write(TABLES["table3"], [finished("ours", 0, 0.6, labelled=0.24)], tmp_path, published=True)
    row = read(tmp_path / "table.csv")["ours"]
    assert row["labelled"].startswith("24.00") and row["tree & grass"].startswith("70.00")
    assert row["mIoU, paper"] == "61.47" and row["difference"] == "-1.47"
    tex = (tmp_path / "table.tex").read_text()
    assert r"tree \& grass" in tex and r"$\pm$" in tex and "±" not in tex
    assert tex.count(r"\\") == 2


def test_other_data_stand_alone(finished, tmp_path):
    write(TABLES["table3"], [finished("ours", 0, 0.6)], tmp_path, published=False)
    assert not [column for column in read(tmp_path / "table.csv")["ours"] if "paper" in column]


def test_costs_are_in_steps_of_the_supervised_row_and_left_out_where_a_run_was_cut(finished):
    jobs = [
        finished("SupOnly", 0, 0.5, "1/8", "supervised", seconds=10),
        finished("SupOnly", 1, 0.5, "1/8", "supervised", seconds=20),
        finished("TSF", 0, 0.5, "1/8", seconds=60),
        finished("MT", 0, 0.5, "1/8", "mean_teacher"),
    ]
    order = ["SupOnly", "MT", "TSF"]
    assert relative_costs(jobs, order) == ("SupOnly", {"SupOnly": 1.0, "TSF": pytest.approx(4.0)})
    assert relative_costs(jobs[3:], order) == (None, {})


def test_without_a_supervised_row_the_cost_column_says_whose_step_is_one(finished, tmp_path):
    jobs = [finished("all", 0, 0.6, seconds=30), finished("TSF", 0, 0.5, seconds=20)]
    write(TABLES["table4"], jobs, tmp_path, published=False)
    rows = read(tmp_path / "table.csv")
    assert {row: cells["cost of a step (TSF = 1)"] for row, cells in rows.items()} == {
        "TSF": "1.00 ×", "all": "1.50 ×",
    }  # fmt: skip


def test_a_copied_first_training_has_no_part_in_the_cost(finished):
    job = finished("ours", 0, 0.6, seconds=8, steps=(100, 3, 1), first=finished("first", 0, 0.6).request)
    assert cost(job) == 2.0
    assert cost(finished("TSF", 0, 0.6, seconds=8, steps=(100, 50, 50))) == 0.04
    first = finished("first", 1, 0.6).request
    assert cost(finished("ours", 1, 0.6, seconds=8, steps=(100,), first=first)) is None


def test_costs_compare_runs_of_one_machine(finished):
    jobs = [
        finished("SupOnly", 0, 0.5, seconds=10, host="slow"),
        finished("SupOnly", 1, 0.5, seconds=1, host="fast"),
        finished("TSF", 0, 0.5, seconds=30, host="slow"),
        finished("TSF", 1, 0.5, seconds=5, host="fast"),
        finished("MT", 0, 0.5, seconds=7, host="elsewhere"),
    ]
    assert relative_costs(jobs, ["SupOnly", "TSF", "MT"])[1] == {"SupOnly": 1.0, "TSF": pytest.approx(4.0)}


def test_a_run_that_was_cut_is_noted_with_its_machine_and_without_a_cost(finished):
    job = finished("TSF", 0, 0.5)
    measured(job.request.root, lambda: None, from_start=False)
    assert (
        cost(job) is None and json.loads((job.request.root / "cost.json").read_text())["machine"] == machine()
    )
    measured(job.request.root, lambda: None, from_start=True)
    assert cost(job) >= 0


def test_columns_and_rows_keep_the_tables_order_and_no_two_columns_share_a_name(finished, tmp_path):
    jobs = [
        finished("TSF", 0, 0.75, "1/2"),
        finished("TSF", 0, 0.75, "1/16"),
        finished("SupOnly", 0, 0.75, "1/2"),
    ]
    write(TABLES["table1"], jobs, tmp_path, published=True)
    with (tmp_path / "table.csv").open() as file:
        header, *body = csv.reader(file)
    assert header[:7] == [
        "system", "1/16", "1/16, paper", "1/16, difference", "1/2", "1/2, paper", "1/2, difference",
    ]  # fmt: skip
    assert [row[0] for row in body] == ["SupOnly", "TSF"] and body[0][1] == "–"


def test_notes_record_the_configuration_of_the_run_not_of_the_call(finished, tmp_path):
    job = finished("TSF", 0, 0.5, "1/2", seconds=3, host="a machine")
    requested = replace(job, request=replace(job.request, config=load_config(None, {"train.steps": 7})))
    write(TABLES["table1"], [requested], tmp_path, published=False)
    (note,) = json.loads((tmp_path / "notes.json").read_text())["runs"].values()
    assert note["config"] == job.request.config.model_dump(mode="json") != requested.request.config
    assert note["machine"] == "a machine" and {"torch", "lightning", "tsfal-geo"} <= set(note["versions"])


def test_every_published_figure_has_its_place():
    for name, row, column in PAPER:
        table = TABLES[name]
        assert row in [r.name for r in table.rows]
        assert column == "mIoU" or column in table.shares
