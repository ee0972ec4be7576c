from dataclasses import replace
from typing import get_args

import pytest

from tsfal_geo.config import Config, Method
from tsfal_geo.experiments.jobs import Data, Plan, begun_jobs, jobs_of
from tsfal_geo.experiments.tables import TABLES
from tsfal_geo.training.methods import METHODS


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / "train", tmp_path / "val", None, Config())


def jobs(name, data, out, rows=None, changes=None, seeds=(0,), shares=None, **options):
    plan = Plan(TABLES[name], data, out, changes or {}, **options)
    return jobs_of(plan, seeds, rows or [row.name for row in plan.table.rows], shares)


def test_every_method_that_can_be_named_exists():
    # The instant model is no training module: `rounds.instant` fits it.
    assert {*METHODS, "instant"} == set(get_args(Method))


@pytest.mark.parametrize("name", TABLES)
def test_runs_have_folders_of_their_own_and_valid_configurations(name, data, tmp_path):
    found = jobs(name, data, tmp_path, seeds=(0, 1))
    roots = [job.request.root for job in found]
    assert len(set(roots)) == len(roots) == 2 * len(TABLES[name].rows) * max(1, len(TABLES[name].shares))
    firsts = {job.first.root for job in found if job.first}
    assert not firsts & set(roots) and len(firsts) in (0, 2)


def test_all_methods_of_table_1_train_alike_but_for_their_rule(data, tmp_path):
    found = jobs("table1", data, tmp_path, changes={"train.steps": 7, "train.lr": 0.3})
    without_method = {
        job.request.config.model_copy(
            update={"train": job.request.config.train.model_copy(update={"method": "tsf"})}
        ).model_dump_json()
        for job in found
        if job.share == "1/8"
    }
    assert len(without_method) == 1
    assert {job.request.config.train.steps for job in found} == {7}
    assert {job.request.config.data.labelled for job in found} == {1 / 16, 1 / 8, 1 / 4, 1 / 2}


def test_the_papers_figures_belong_to_the_papers_classes(data):
    names = ("impervious surfaces", "building", "low vegetation", "tree", "car", "clutter")
    classes = [{"id": i, "name": name, "colour": (i, i, i)} for i, name in enumerate(names)]
    vaihingen = replace(data, base=Config.model_validate({"classes": classes}))
    assert vaihingen.is_of(TABLES["table3"]) and not vaihingen.is_of(TABLES["table1"])
    assert not data.is_of(TABLES["table3"])


def test_a_datasets_own_list_of_labelled_scenes_is_used(data, tmp_path):
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "1_8.txt").write_text("a\n")
    listed = replace(data, lists=tmp_path / "splits")
    found = {job.share: job.request.config.data for job in jobs("table1", listed, tmp_path, ["TSF"])}
    assert str(found["1/8"].labelled_list).endswith("1_8.txt") and found["1/8"].labelled is None
    assert found["1/4"].labelled == 1 / 4 and found["1/4"].labelled_list is None


def test_rows_of_one_trainer_differ_by_their_queries_and_no_row_trains_longer(data, tmp_path):
    found = {job.row: job for job in jobs("table4", data, tmp_path)}
    steps = {}
    for name, job in found.items():
        config = job.request.config
        later = config.active.rounds * round(config.train.steps * config.active.round_steps)
        steps[name] = config.train.steps + later
        assert config.active.oracle and (job.first is not None) == (config.active.rounds > 0)
    assert len(set(steps.values())) == 1
    assert found["all"].first == found["+AL"].first and not found["all"].first.config.active.oracle


def test_the_image_level_protocol_keeps_its_shares_and_a_quick_run_its_length(data, tmp_path):
    (row,) = jobs("table3", data, tmp_path, ["VAAL"])
    active = row.request.config.active
    assert (active.granularity, active.retrain, active.rounds, active.budget) == ("chips", "scratch", 6, 0.4)
    assert row.request.config.data.labelled == 0.1
    (quick,) = jobs("table3", data, tmp_path, ["VAAL"], {"train.steps": 4}, most_rounds=1)
    assert (quick.request.config.active.rounds, quick.request.config.train.steps) == (1, 1)


@pytest.mark.parametrize("name", ["table2", "table3"])
def test_the_bound_with_all_labels_trains_as_long_as_ours_in_all_its_rounds(name, data, tmp_path):
    ours, bound = (job.request.config for job in jobs(name, data, tmp_path, ["ours", "all labels"]))
    later = round(ours.train.steps * ours.active.round_steps)
    assert bound.train.steps == ours.train.steps + ours.active.rounds * later
    assert bound.active.rounds == 0 and bound.data.labelled == 1


def test_runs_in_the_folder_are_found_whoever_began_them_in_the_tables_order(data, tmp_path, finished):
    finished("TSF", 1, 0.5, "1/2")
    finished("MT", 4, 0.5, "1/8")
    finished("TSF", 1, 0.5, "1/16")
    (tmp_path / "runs" / "mt-1-4-0").mkdir()  # begun by nobody
    finished("ours", 0, 0.5)  # of another table
    found = begun_jobs(Plan(TABLES["table1"], data, tmp_path, {}))
    assert [(job.row, job.share, job.seed) for job in found] == [
        ("TSF", "1/16", 1), ("TSF", "1/2", 1), ("MT", "1/8", 4),
    ]  # fmt: skip
    assert all(job.done for job in found)


def test_some_shares(data, tmp_path):
    found = jobs("table1", data, tmp_path, ["TSF"], shares=["1/8", "1/2"])
    assert [job.share for job in found] == ["1/8", "1/2"]
