"""The commands about labels, queries and the workspace's folder, run as a person runs them."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import geopandas
import pytest
from click.testing import CliRunner

from tests.helpers.command_cases import square
from tsfal_geo.cli.labels import command as labels
from tsfal_geo.cli.queries import command as queries
from tsfal_geo.cli.workspace import command as workspace_command
from tsfal_geo.errors import UserError
from tsfal_geo.labels.history import write_snapshot
from tsfal_geo.labels.model import Decision, Label
from tsfal_geo.workspace.folder import WorkspaceFolder


def run(group, *arguments):
    result = CliRunner().invoke(group, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def events(group, *arguments):
    return [json.loads(line) for line in run(group, *arguments, "--json").splitlines()]


def test_labels_are_imported_reported_and_exported(opened, tmp_path):
    scene, root = opened.scenes[0], opened.root
    path = tmp_path / "survey.geojson"
    shapes = [square(scene, 0, 15), square(scene, 30, 30), square(scene, 30, 30)]
    geopandas.GeoDataFrame({"kind": ["Acker", "Weg", "?"]}, geometry=shapes, crs=25832).to_file(path)
    with pytest.raises(UserError, match="Acker"):
        run(labels, "import", path, "--workspace", root)
    printed = run(
        labels, "import", path, "--workspace", root, "--map", "Acker=field", "--map", "Weg=5", "--map", "?="
    )
    assert "2 labels imported, 1 left out" in printed
    report = events(labels, "status", "--workspace", root)[-1]
    assert (report["labels"], report["pixels"], report["valid_pixels"]) == (2, 150, 3600)
    assert report["share"] == pytest.approx(150 / 3600)
    assert report["classes"] == {"field": 50, "<b>road</b>": 100}
    assert report["people"] == {"survey": {"labels": 2, "pixels": 150, "decisions": {}}}
    printed = run(labels, "status", "--workspace", root)
    assert "150 pixels, 4.17% of 3600" in printed
    assert run(labels, "export", tmp_path / "out.gpkg", "--workspace", root).strip() == str(
        tmp_path / "out.gpkg"
    )
    assert len(geopandas.read_file(tmp_path / "out.gpkg")) == 2


def test_states_are_compared_and_restored(opened):
    store, scene, root = opened.store(), opened.scenes[0], opened.root
    store.add("anna", [Label("town", 0, square(scene, 0, 30))])
    write_snapshot(store, 0, store.snapshot())
    store.add("ben", [Label("town", 5, square(scene, 0, 35))])
    printed = run(labels, "diff", "0", "--workspace", root)
    assert "+ town <b>road</b> by ben" in printed
    assert "1 new, 0 removed, 1 unchanged" in printed
    changed = events(labels, "diff", "0", "now", "--workspace", root)[-1]
    assert [row["author"] for row in changed["added"]] == ["ben"]
    status = run(labels, "status", "--workspace", root)
    assert "conflict on town: 50 pixels, anna.gpkg row 1 and ben.gpkg row 1" in status
    assert "1 withdrawn, 0 restored" in run(labels, "restore", "0", "--workspace", root)
    assert "0 new, 0 removed, 1 unchanged" in run(labels, "diff", "0", "--workspace", root)
    with pytest.raises(UserError, match="expected a round"):
        run(labels, "diff", "yesterday", "--workspace", root)


def test_queries_are_listed_and_assigned(opened):
    store, root = opened.store(), opened.root
    store.add("anna", [], [Decision("q2", 0, "skipped")])
    hello, *rows, result = events(queries, "list", "--workspace", root)
    assert (hello["event"], result["event"], result["queries"]) == ("hello", "result", len(rows))
    assert [row["qid"] for row in rows] == ["q1", "q3", "q4", "q5", "q6"]
    assert rows[0]["suggested"] == "<b>road</b>"
    printed = run(queries, "assign", "--workspace", root, "--to", "anna", "--to", "../b", "--overlap", "0.2")
    assert printed.splitlines() == ["anna: 3 queries", "../b: 3 queries"]
    anna = run(queries, "list", "--workspace", root, "--to", "anna").splitlines()
    other = run(queries, "list", "--workspace", root, "--to", "../b").splitlines()
    assert len(anna) == len(other) == 3
    assert len({*anna, *other}) == 5
    assert "skipped" in run(queries, "list", "--workspace", root, "--all")
    assert run(queries, "assign", "--workspace", root, "--to", "cleo").splitlines() == ["cleo: 0 queries"]


def test_a_copy_holds_what_is_committed_and_finds_its_rasters(opened, tmp_path):
    store, scene = opened.store(), opened.scenes[0]
    store.add("anna", [Label("town", 0, square(scene, 0, 30))])
    path = store.author_store("anna")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("BEGIN")
    writer.execute("INSERT INTO decisions (qid, round, status) VALUES ('q1', 0, 'done')")
    writer.execute("COMMIT")
    destination = tmp_path / "elsewhere" / "deeper" / "copy"
    run(workspace_command, "copy", "--workspace", opened.root, destination)
    writer.close()
    copied = WorkspaceFolder.open(destination)
    assert copied.scenes[0].path.is_file()
    found = copied.store().snapshot()
    assert (len(found.labels), found.decisions[0].qid) == (1, "q1")
    assert {p.name for p in (destination / "labels").iterdir()} == {"anna.gpkg"}
    with closing(sqlite3.connect(destination / "labels" / "anna.gpkg")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with pytest.raises(UserError, match="exists already"):
        run(workspace_command, "copy", "--workspace", opened.root, destination)
    with pytest.raises(UserError, match="inside"):
        run(workspace_command, "copy", "--workspace", opened.root, opened.root / "copy")


def test_a_folder_that_is_no_workspace_is_an_error(tmp_path):
    for group, name in ((labels, "status"), (queries, "list")):
        with pytest.raises(UserError, match=r"workspace\.json"):
            run(group, name, "--workspace", tmp_path)


def test_commands_start_without_torch():
    modules = ["cli.labels", "cli.queries", "cli.workspace"]
    modules += [
        f"labels.{name}"
        for name in ("gpkg_store", "history", "report", "exchange.importing", "exchange.export")
    ]
    modules += ["geopackage.connection"]
    code = (
        f"import sys, {', '.join(f'tsfal_geo.{name}' for name in modules)}; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_new_author_gets_an_empty_file_once(opened):
    path = opened.root / "labels" / "anna.gpkg"
    result = events(labels, "new", "--workspace", opened.root, "--author", "anna")[-1]
    assert (result["event"], result["path"]) == ("result", str(path))
    made = path.stat()
    run(labels, "new", "--workspace", opened.root, "--author", "anna")
    assert path.stat() == made
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM labels").fetchone() == (0,)
