"""Every command speaks the protocol of docs/protocol.md; a command without a case here fails."""

import json
import re
import shutil
import sys
from pathlib import Path

import click
import geopandas
import pytest
from jsonschema import Draft202012Validator

from tests.helpers.command_cases import square
from tsfal_geo.cli import demo, reporter
from tsfal_geo.cli.main import cli, main
from tsfal_geo.labels.history import write_snapshot
from tsfal_geo.labels.model import Label

SCHEMA = json.loads(Path(reporter.__file__).with_name("protocol.schema.json").read_text(encoding="utf-8"))
DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def commands(group, *path):
    """Names of all commands below a group, each as a tuple."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, *path, name)
        else:
            yield *path, name


ALL = list(commands(cli))

# The arguments of each command, and the event that ends it. WS waits for answers, NET has a network, TOWN has
# scenes with labels, OUT and NONE do not exist. Expensive commands end by a mistake that they find late.
CASES = {
    "info": ("--raster TOWN", "result"),
    "train": ("--raster NONE --workspace OUT", "raster"),
    "export": ("--workspace NET --out OUT", "result"),
    "assess design": ("--workspace NET --map TOWN/labels/east.tif --minimum 2 --to anna", "result"),
    "assess report": ("--workspace NET --map TOWN/labels/east.tif --raster TOWN", "result"),
    "evaluate": ("--workspace NET --raster TOWN", "result"),
    "report": ("--workspace WS --out OUT.html", "result"),
    "status": ("--workspace WS", "result"),
    "query": ("--workspace WS", "workspace"),
    "live": ("--workspace WS", "config"),
    "labels new": ("--workspace WS --author anna", "result"),
    "labels import": ("GEOJSON --workspace WS", "result"),
    "labels export": ("OUT.geojson --workspace WS", "result"),
    "labels status": ("--workspace WS", "result"),
    "labels diff": ("0 now --workspace WS", "result"),
    "labels restore": ("0 --workspace WS", "result"),
    "queries list": ("--workspace WS", "result"),
    "queries assign": ("--workspace WS --to anna", "result"),
    "model export": ("OUT.zip --workspace NET", "result"),
    "model import": ("NONE --out OUT", "weights"),
    "workspace copy": ("--workspace WS OUT", "result"),
    "datasets list": ("", "result"),
    "datasets prepare camvid": ("NONE --out OUT", "user"),
    "datasets prepare cityscapes": ("NONE --out OUT", "user"),
    "datasets prepare folder": ("NONE --out OUT", "raster"),
    "datasets prepare vaihingen": ("NONE --out OUT", "user"),
    "plugin package": ("--out OUT", "result"),
    "plugin install": ("--profiles-path PROFILES", "result"),
    "ablation": ("--raster TOWN --val TOWN --out OUT --modes none", "config"),
    "bench": ("table3 --out OUT", "user"),
    "demo": ("--out OUT", "user"),
}  # fmt: skip
EXIT_CODES = {"config": 2, "labels": 2, "raster": 2, "usage": 2, "user": 2, "weights": 2, "workspace": 3}


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command line in this process; gives its events and its exit code."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["tsfal-geo", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = capsys.readouterr().out.splitlines()
        return [json.loads(line) for line in lines], ended.value.code or 0

    return run


@pytest.fixture
def arguments(opened, folder, tmp_path, monkeypatch):
    """Replace the names in a case by paths."""
    monkeypatch.setattr(demo, "_HOME", tmp_path / "none")
    shutil.rmtree(folder / "ws" / "reference", ignore_errors=True)  # of another case
    scene, store = opened.scenes[0], opened.store()
    metrics = {"round": 0, "labelled_share": 0.1, "budget": 0.2, "queries": 6, "query_pixels": 600}
    opened.round_dir(0).mkdir(parents=True, exist_ok=True)
    (opened.round_dir(0) / "metrics.json").write_text(json.dumps({**metrics, "seconds": {"total": 1.0}}))
    store.add("ben", [Label("town", 0, square(scene, 0, 30))])
    write_snapshot(store, 0, store.snapshot())
    geopandas.GeoDataFrame({"class_id": [5]}, geometry=[square(scene, 30, 30)], crs=25832).to_file(
        tmp_path / "survey.geojson"
    )
    paths = {
        "WS": opened.root,
        "NET": folder / "ws",
        "TOWN": folder / "town",
        "GEOJSON": tmp_path / "survey.geojson",
        "OUT": tmp_path / "out",
        "NONE": tmp_path / "none",
        "PROFILES": tmp_path / "profiles",
    }
    (tmp_path / "profiles" / "profiles" / "default").mkdir(parents=True)

    def replaced(text):
        return re.sub("[A-Z]{2,}", lambda name: str(paths[name[0]]), text).split()

    return replaced


def documented_fields(name):
    """The fields of a command's result in the last table of the document; the schema allows any."""
    rows = [line.split("|") for line in DOCUMENT.partition("## Results")[2].splitlines() if "|" in line]
    fields = [cells[2] for cells in rows if f"`{name}`" in cells[1]]
    assert fields, f"docs/protocol.md does not list the result of {name}"
    return set(re.findall("`(.+?)`", " ".join(fields)))


def check(events, exit_code):
    """Check a session by the schema and by the rules of the protocol."""
    for event in events:
        VALIDATOR.validate(event)
    kinds = [event["event"] for event in events]
    assert kinds[0] == "hello" and kinds.count("hello") == 1
    assert kinds[-1] in ("result", "error") and kinds.count("result") + kinds.count("error") == 1
    assert events[-1].get("exit_code", 0 if kinds[-1] == "result" else None) == exit_code
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_command_begins_with_hello_and_ends_with_one_result_or_error(path, call, arguments):
    words, end = CASES[" ".join(path)]
    events, exit_code = call(*path, *arguments(words), "--json")
    check(events, exit_code)
    last = events[-1]
    assert last.get("code", last["event"]) == end
    assert exit_code == EXIT_CODES.get(end, 0)
    if end == "result":
        assert last.keys() - {"event", "time"} <= documented_fields(" ".join(path))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_wrong_options_are_an_error_event_too(path, call):
    events, exit_code = call(*path, "--no-such-option", "--json")
    check(events, exit_code)
    assert [event["event"] for event in events] == ["hello", "error"]
    assert (events[-1]["code"], exit_code) == ("usage", 2) and "--no-such-option" in events[-1]["message"]


def test_there_is_a_case_for_every_command_and_none_for_others():
    assert {" ".join(path) for path in ALL} == CASES.keys()


def test_unusable_files_are_listed_in_a_result_with_exit_code_2(call, arguments, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "torn.tif").write_bytes(b"II*\0torn")
    (tmp_path / "images" / "town.tif").write_bytes(
        next((tmp_path / "data" / "images").iterdir()).read_bytes()
    )
    events, exit_code = call("info", "--raster", tmp_path, "--json")
    check(events, 0)
    assert exit_code == 2 and "torn.tif" in events[-1]["problems"][0]


def test_a_bug_is_an_error_event_with_exit_code_1(arguments, monkeypatch, capsys):
    monkeypatch.setattr("tsfal_geo.labels.report.collect", lambda _store: {}["missing"])
    monkeypatch.setattr(sys, "argv", ["tsfal-geo", *arguments("labels status --workspace WS --json")])
    with pytest.raises(KeyError):
        main()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    check(events, 1)
    assert (events[-1]["code"], events[-1]["message"]) == ("bug", "KeyError: 'missing'")


@pytest.fixture
def session(call, arguments):
    return call("queries", "list", *arguments("--workspace WS --json"))[0]


FAULTS = {
    "no hello": lambda events: events[1:],
    "two hellos": lambda events: [events[0], *events],
    "no end": lambda events: events[:-1],
    "an event after the end": lambda events: [*events, events[1]],
    "two ends": lambda events: [*events, events[-1]],
    "no time": lambda events: [{"event": "hello", "protocol": 1, "engine": "0"}, *events[1:]],
    "an unknown event": lambda events: [events[0], {**events[1], "event": "answer"}, *events[2:]],
    "a field too many": lambda events: [{**events[0], "more": 1}, *events[1:]],
    "another protocol": lambda events: [{**events[0], "protocol": 2}, *events[1:]],
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_check_finds_faults(session, fault):
    check(session, 0)
    with pytest.raises(Exception, match=r"assert|valid"):
        check(fault(session), 0)


def test_the_schema_and_the_code_agree_on_the_protocol():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["hello"]["properties"]["protocol"]["const"] == reporter.PROTOCOL
    kinds = {ref["$ref"].rpartition("/")[2] for ref in SCHEMA["oneOf"]}
    assert all(f"| `{kind}` |" in DOCUMENT for kind in kinds)
