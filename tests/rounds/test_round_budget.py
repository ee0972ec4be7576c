"""Limits of answers and minutes: what binds first ends the loop, and an interrupted run ends as another."""

from types import SimpleNamespace

import pytest

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.labels.effort import Effort, KindEffort, measure_effort
from tsfal_geo.queries.budget import Budget
from tsfal_geo.rounds import loop
from tsfal_geo.rounds.loop import query, train
from tsfal_geo.rounds.request import Request
from tsfal_geo.rounds.round_budget import round_budget
from tsfal_geo.workspace.folder import WorkspaceFolder


def run(root, folder, **overrides):
    options = {"active__oracle": True, "active__granularity": "pixels", "train__lr": 0.003, **overrides}
    reporter = QuietReporter()
    train(Request(root, folder, None, tiny_config(**options)), reporter)
    return WorkspaceFolder.open(root), reporter


def effort(workspace):
    store = workspace.store()
    return measure_effort(store.snapshot(), store.scenes)


def test_the_loop_takes_the_answers_that_it_may_and_shares_them_over_the_rounds(folder, tmp_path):
    workspace, reporter = run(tmp_path, folder, active__answers=30, active__oracle_answers="mixed")
    figures = [workspace.metrics(number) for number in range(3)]
    assert [values["answers"] for values in figures] == [0, 15, 30]
    assert [values["queries"] for values in figures] == [15, 15, 0]
    assert figures[2]["minutes"] == pytest.approx(effort(workspace).minutes, abs=1e-4)
    assert workspace.state.status == "done"
    assert "--answers NUMBER" in reporter.lines[-1]

    more = tiny_config(active__answers=50, active__granularity="pixels", train__lr=0.003)
    query(Request(tmp_path, folder, None, more), QuietReporter())
    assert WorkspaceFolder.open(tmp_path).metrics(3)["queries"] == 20


def test_minutes_bind_before_answers_and_pixels(folder, tmp_path):
    workspace, _ = run(
        tmp_path,
        folder,
        active__minutes=0.8,
        active__answers=1000,
        active__budget=0.9,
        active__rounds=1,
        active__oracle_answers="point",
    )
    assert workspace.metrics(1)["answers"] == 20  # of 2.4 seconds
    assert workspace.state.status == "done"


def test_a_run_that_dies_after_its_answers_gives_no_more_of_them(folder, tmp_path, monkeypatch):
    options = {"active__answers": 12, "active__granularity": "regions", "active__rounds": 1}
    answer = loop.answer_queries

    def dies(*args):
        answer(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "answer_queries", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", folder, **options)
    monkeypatch.setattr(loop, "answer_queries", answer)
    given = effort(WorkspaceFolder.open(tmp_path / "a")).answers
    # Exact answers finish the query that they began.
    assert 12 <= given < 12 + 20
    again = run(tmp_path / "a", folder, **options)[0]
    assert (again.current_round, again.state.status) == (1, "done")
    assert again.metrics(1)["answers"] == given


def test_the_first_queries_are_within_the_answers(tmp_path):
    folder = write_scenes(tmp_path / "rasters", labels=False)
    options = {"active__oracle": False, "data__labelled": None, "active__granularity": "regions"}
    workspace, _ = run(tmp_path / "ws", folder, active__answers=3, active__budget=0.9, **options)
    figures = workspace.metrics(0)
    assert (figures["queries"], figures["round_answers"]) == (1, 1)


class Rounds:
    """A workspace of which only the metrics of the rounds are known."""

    def __init__(self, *metrics, total=1000, **active):
        self.config = tiny_config(**{f"active__{key}": value for key, value in active.items()})
        self.inputs = SimpleNamespace(total=total)
        self.workspace = SimpleNamespace(metrics=lambda number: metrics[number])

    def budget(self, number, spent, answers, seconds, answered=0, training=True):
        given = Effort({"key": KindEffort(answers, seconds)})
        return round_budget(self, number, spent, given, answered, training=training)


FIRST = {"labelled_share": 0.1, "answers": 40, "minutes": 2.0, "steps": 3}


def test_the_first_limit_that_binds_ends_the_loop():
    options = {"budget": 0.5, "answers": 100, "minutes": 10.0, "rounds": 4}
    rounds = Rounds(FIRST, **options)
    budget = rounds.budget(1, 150, 50, 200.0)
    assert (budget.remaining, budget.answers, budget.seconds) == (150, 20, pytest.approx(160.0))
    assert not budget.last
    for spent, answers, seconds in ((500, 50, 200.0), (150, 100, 200.0), (150, 50, 600.0)):
        ended = rounds.budget(1, spent, answers, seconds)
        assert ended.last and (spent < 500 or not ended.remaining)
        assert not ended.open


def test_without_a_share_answers_leave_pixels_unlimited():
    assert Rounds(FIRST, answers=100).budget(1, 150, 50, 200.0).goal == 1.0
    assert Rounds(FIRST).budget(1, 150, 50, 200.0).goal == pytest.approx(0.19)
    assert Rounds(FIRST).budget(1, 150, 50, 200.0).most_queries is None


def test_queries_that_took_many_answers_are_fewer():
    rounds = Rounds(FIRST, answers=240, rounds=2)
    assert rounds.budget(1, 150, 40, 200.0, answered=5).most_queries == 200
    assert rounds.budget(1, 150, 40, 200.0, answered=10).most_queries == 50


def test_a_round_of_an_earlier_version_counts_from_now_on():
    old = {"labelled_share": 0.1, "answers": None, "minutes": None, "steps": 3}
    assert Rounds(old, answers=100, rounds=2).budget(1, 150, 20, 60.0).answers == 80


@pytest.mark.parametrize(
    ("answers", "seconds", "most"),
    [
        (None, None, None),
        (10, None, 5),
        (0, None, 0),
        (1, None, 1),
        (None, 9.0, 3),
        (10, 3.0, 1),
        (2, 90.0, 1),
    ],
)
def test_a_budget_knows_the_most_queries(answers, seconds, most):
    budget = Budget(100, 0, 1.0, 50, False, answers, seconds, query_answers=2.0, query_seconds=4.0)
    assert budget.most_queries == most
    assert budget.open == (most != 0)
