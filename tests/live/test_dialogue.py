"""The dialogue with the program that started a session: messages, events, the process and its end."""

from __future__ import annotations

import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from jsonschema import Draft202012Validator

from tests.helpers.loop_case import QuietReporter
from tsfal_geo.cli import reporter as reporter_module
from tsfal_geo.errors import UserError
from tsfal_geo.geopackage.connection import reading
from tsfal_geo.labels.model import Decision, Label
from tsfal_geo.live.messages import View, parse_message
from tsfal_geo.live.serve import Dialogue, window_of
from tsfal_geo.live.session import LiveSession
from tsfal_geo.workspace.folder import WorkspaceFolder

SCHEMA = json.loads(Path(reporter_module.__file__).with_name("protocol.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
COMMAND = [str(Path(sys.executable).with_name("tsfal-geo")), "live", "--json", "--workspace"]


@pytest.fixture
def root(begun, tmp_path):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return tmp_path / "ws"


class Listener(QuietReporter):
    """Keeps the events, and checks each by the schema."""

    def __init__(self):
        super().__init__()
        self.events = []

    def event(self, event):
        VALIDATOR.validate({**event, "time": "2026-01-01T00:00:00.000+00:00"})
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def wait(self, kind, accept=lambda _event: True, seconds=60):
        for _ in range(seconds * 50):
            for event in self.of(kind):
                if accept(event):
                    return event
            time.sleep(0.02)
        raise AssertionError(f"no {kind} among {[event['event'] for event in self.events]}")


@pytest.fixture
def talk(root):
    """A session in a thread; gives it, what it reports and a function that sends a message."""
    listener, messages = Listener(), queue.Queue()
    with LiveSession(root, background=True) as session:
        thread = threading.Thread(target=Dialogue(session, listener, messages).run, daemon=True)
        thread.start()
        yield session, listener, lambda **values: messages.put(json.dumps(values))
        listener.stop.set()
        thread.join(60)
        assert not thread.is_alive()


def commit(root, query, class_id, author="anna"):
    """Answer as the plugin does: in the person's own store, before anything is said."""
    label = Label(query.scene, class_id, query.geometry, qid=query.qid, round=query.round, source="filled")
    decision = Decision(query.qid, query.round, "done", author)
    WorkspaceFolder.open(root).store().add(author, [label], [decision])


def whole(session, name):
    scene = session.scene(name)
    box = scene.grid.extent.boundingbox
    return {"scene": name, "bounds": [box.left, box.bottom, box.right, box.top]}


def test_an_answer_changes_map_queue_and_score(root, talk):
    session, heard, send = talk
    first, second = session.next(2)
    send(do="look", id=1, views=[whole(session, "s0")])
    heard.wait("state", lambda event: event.get("to") == 1)
    assert not heard.of("changed"), "nothing can be mapped before the first label"
    commit(root, first, 3)
    send(do="answer", id=2)
    event = heard.wait("changed")
    assert (event["scene"], event["window"], event["step"]) == ("s0", [0, 0, 160, 200], 1)
    with rasterio.open(event["path"]) as source:
        assert set(np.unique(source.read(1))) == {3}
    told = heard.wait("queue", lambda event: first.qid not in event["order"])
    assert second.qid in told["order"]
    heard.wait("score", lambda event: event["answers"] == 1)
    heard.wait("state", lambda event: event.get("to") == 2)
    # Another person says nothing to this session, and is seen all the same.
    heard.events.clear()
    commit(root, second, 9, "ben")
    heard.wait("queue", lambda event: second.qid not in event["order"])
    heard.wait("changed")
    heard.events.clear()
    send(do="next", count=3, id="more")
    heard.wait("state", lambda event: event.get("to") == "more")
    added = heard.wait("queue")["added"]
    with reading(root / "rounds" / "000" / "queries.gpkg") as connection:
        rows = {row[0] for row in connection.execute("SELECT qid FROM queries")}
    # The segments may still be in the making.
    assert len(added) <= 3 and set(added) <= rows


def test_what_is_no_message_is_told_and_nothing_ends(talk):
    session, heard, send = talk
    send(do="dance", id=5)
    assert "expected one of answer" in heard.wait("state", lambda event: "problem" in event)["problem"]
    send(do="look", views=[{"scene": "s9", "bounds": [0, 0, 1, 1]}], id=6)
    heard.wait("state", lambda event: event.get("to") == 6)
    commit(session.root, session.next(1)[0], 7)
    send(do="answer", id=7)
    heard.wait("state", lambda event: event.get("to") == 7)
    assert any("no scene 's9'" in line for line in heard.warnings)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        '{"do": 1}',
        '{"do": "next", "count": 0}',
        '{"do": "next", "count": "two"}',
        '{"do": "look", "views": [{"scene": "s0"}]}',
        '{"do": "look", "views": [{"scene": "s0", "bounds": [3, 0, 1, 1]}]}',
        '{"do": "look", "views": [{"scene": "s0", "bounds": ["a", 0, 1, 1]}]}',
        "[" * 20000,
        '{"do": "look", "views": [{"scene": "s0", "bounds": [NaN, 0, 1, 1]}]}',
    ],
)
def test_a_message_that_is_none_is_one_line(line):
    with pytest.raises(UserError, match="not understood") as caught:
        parse_message(line)
    assert "\n" not in str(caught.value)


def test_a_view_is_the_pixels_inside_its_bounds(root):
    with LiveSession(root) as session:
        scene = session.scene("s0")
        left, top = scene.grid.affine * (30, 20)
        right, bottom = scene.grid.affine * (70, 50)
        window = window_of(View("s0", (left, bottom, right, top)), scene)
        assert (window.y, window.x, window.height, window.width) == (20, 30, 30, 40)
        beyond = window_of(View("s0", (left - 1e6, bottom - 1e6, right, top)), scene)
        assert (beyond.y, beyond.x, beyond.height, beyond.width) == (20, 0, 140, 70)
        with pytest.raises(UserError, match="expected one on the scene"):
            window_of(View("s0", (left + 1e6, bottom, right + 1e6, top)), scene)


def started(root):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, str(root)], stdin=pipe, stdout=pipe, text=True, env=environment)


def test_the_command_ends_with_its_starter_and_leaves_nothing(root):
    process = started(root)
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        VALIDATOR.validate(events[-1])
        if events[-1]["event"] == "state":
            process.stdin.write(json.dumps({"do": "state", "id": "hi"}) + "\n")
            process.stdin.flush()
            break
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1].get("to") == "hi":
            process.stdin.close()
            break
    events += [json.loads(line) for line in process.stdout]
    assert process.wait(30) == 0
    assert events[0]["event"] == "hello" and events[-1]["event"] == "result"
    assert events[-1]["round"] == 0
    assert not list((root / "live").iterdir())


@pytest.mark.slow
def test_a_killed_session_loses_nothing_and_goes_on_where_it_was(root):
    kills = int(os.environ.get("TSFAL_KILLS", "15"))
    seed = int(os.environ.get("TSFAL_SEED", "0"))
    draw = random.Random(seed)
    store = WorkspaceFolder.open(root).store()
    given: dict[str, int] = {}
    for kill in range(kills):
        process = started(root)
        try:
            for line in process.stdout:
                if json.loads(line)["event"] == "state":
                    break
            for query in store.open_queries(0)[:1]:
                given[query.qid] = draw.choice((3, 7, 9))
                commit(root, query, given[query.qid])
                process.stdin.write('{"do": "answer"}\n{"do": "next", "count": 2}\n')
                process.stdin.flush()
            time.sleep(draw.random() * 1.5)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        snapshot = store.snapshot()
        assert {label.qid: label.class_id for label in snapshot.labels} == given, f"seed {seed}, kill {kill}"
        qids = [query.qid for query in store.read_queries(0)]
        assert len(qids) == len(set(qids)), f"seed {seed}, kill {kill}"
    with LiveSession(root) as session:
        assert session.progress().answers == len(given)
        assert not set(given) & set(session.ranking.order)
        # The folders of the killed ones went at the next start.
        assert len(list((root / "live").iterdir())) == 1
