import csv

import pytest

from tsfal_geo.bench.paper import PAPER
from tsfal_geo.bench.results import relative_costs, write
from tsfal_geo.bench.tables import TABLES


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
    assert relative_costs(jobs) == {"SupOnly": 1.0, "TSF": pytest.approx(4.0)}
    assert relative_costs(jobs[2:]) == {}


def test_every_published_figure_has_its_place():
    for name, row, column in PAPER:
        table = TABLES[name]
        assert row in [r.name for r in table.rows]
        assert column == "mIoU" or column in table.shares
