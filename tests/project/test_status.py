"""The status of a workspace: effort beside pixels, and rounds of earlier versions."""

import json

import pytest

from tests.cli.conftest import opened
from tsfal_geo.cli.main import cli
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.labels.model import Decision, Label
from tsfal_geo.project.open_workspace import open_workspace

__all__ = ["opened"]


def write_metrics(workspace, text):
    workspace.round_dir(0).mkdir(parents=True, exist_ok=True)
    (workspace.round_dir(0) / "metrics.json").write_text(text)


def test_answers_given_since_the_round_count(opened):
    write_metrics(opened, json.dumps({"labelled_share": 0.1}))
    first, second, third = opened.store().read_queries(0)[:3]
    opened.store().add(
        "anna",
        [
            Label("town", 5, first.geometry, qid=first.qid, source="filled"),
            Label("town", 5, second.geometry, qid=second.qid, source="brushed"),
        ],
        [Decision(first.qid, 0, "done"), Decision(second.qid, 0, "done"), Decision(third.qid, 0, "skipped")],
    )
    status = open_workspace(opened.root).status()
    assert status.effort.answers == status.to_json()["answers"] == 3
    assert status.effort.seconds == pytest.approx(2 + 10.9 + 1.5)
    assert status.open_queries == 3


@pytest.mark.parametrize(
    "figures", [{}, {"queries": 6}, {"budget": 0.2, "queries": 6, "seconds": {"total": 1.0}, "round": 0}]
)
def test_a_round_without_some_figures_is_shown_with_dashes(opened, figures, run):
    write_metrics(opened, json.dumps({"labelled_share": 0.1, **figures}))
    assert "–" in run("status", "--workspace", opened.root)
    values = json.loads(run("status", "--workspace", opened.root, "--json").splitlines()[-1])
    assert values["rounds"][0]["query_pixels"] is None
    assert open_workspace(opened.root).round().answers is None


@pytest.mark.parametrize("text", ["[]", "{}", '{"labelled_share": null}', '{"labelled_'])
def test_a_damaged_round_is_named(opened, text):
    write_metrics(opened, text)
    with pytest.raises(WorkspaceError, match=r"000/metrics.json"):
        open_workspace(opened.root).status()


@pytest.fixture
def run():
    from click.testing import CliRunner

    def call(*arguments):
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call
