import json

import pytest

from tsfal_qgis.engine.protocol import (
    BUG,
    DAMAGED,
    DIED,
    DONE,
    MISTAKE,
    STOPPED,
    Event,
    LineReader,
    Listener,
    RunOutput,
    parse_event,
)


class Calls:
    def __init__(self):
        self.made = []

    def listener(self):
        def note(name):
            return lambda *values: self.made.append((name, *values))

        return Listener(note("progress"), note("log"), note("artefact"), note("warning"))


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def output(calls):
    return RunOutput(calls.listener())


def line(**values):
    return (json.dumps(values, ensure_ascii=False) + "\n").encode()


def test_an_event_is_its_kind_and_values_without_the_envelope():
    event = parse_event('{"event": "result", "round": 3, "time": "2026-01-01T00:00:00Z"}')
    assert (event.kind, event.values) == ("result", {"round": 3})


@pytest.mark.parametrize(
    "text",
    ["Epoch 1", "{", "[1]", "3", "null", '{"a": 1}', '{"event": 3}', '{"event": ["log"]}', "[" * 5000],
)
def test_a_line_that_is_no_event_is_a_log_line_as_it_is(text):
    event = parse_event(text)
    assert (event.kind, event.message) == ("log", text)


@pytest.mark.parametrize(
    ("value", "fraction"),
    [("0.5", 0.5), ("7", 1.0), ("-1", 0.0), ("NaN", 0.0), ("null", 0.0), ('"x"', 0.0), ("[]", 0.0)],
)
def test_a_progress_bar_always_gets_a_number_from_0_to_1(value, fraction):
    assert parse_event('{"event": "progress", "fraction": %s}' % value).fraction == fraction


def test_lines_cut_anywhere_come_out_complete():
    data = 'Grüße\r\n\n{"a": 1}\nlast'.encode()
    for size in range(1, len(data)):
        reader = LineReader()
        lines = []
        for start in range(0, len(data), size):
            lines += reader.feed(data[start : start + size])
        assert [*lines, *reader.close()] == ["Grüße", '{"a": 1}', "last"]


def test_each_event_reaches_its_listener(output, calls):
    output.feed(
        line(event="hello", protocol=1, engine="0.1.0")
        + line(event="progress", fraction=0.5, stage="training", note="loss 0.1")
        + line(event="artefact", kind="map", path="/a.tif")
        + line(event="warning", message="look")
        + line(event="result", round=1)
        + b"chatter",
        b"on stderr",
        last=True,
    )
    assert calls.made == [
        ("progress", 0.5, "training: loss 0.1"),
        ("artefact", "map", "/a.tif"),
        ("warning", "look"),
        ("log", "chatter"),
        ("log", "on stderr"),
    ]
    assert output.result == {"round": 1}
    assert output.failure(DONE) == ""


LINES = {
    "hello": line(event="hello", protocol=1, engine="0.1.0"),
    "log": line(event="log", message="reading"),
    "query": line(event="query", qid="q1", rank=1),
    "other": line(event="of a newer engine", message="other"),
    "result": line(event="result", round=1),
}


@pytest.mark.parametrize(
    "order",
    [
        "hello log query other result",
        "log hello query other result",
        "hello hello log query other result",
        "log other query result",
        "hello result log query other",
    ],
)
def test_events_come_in_any_order_and_kinds_of_events_that_are_of_no_use_are_skipped(order, output, calls):
    output.feed(b"".join(LINES[name] for name in order.split()), last=True)
    assert output.result == {"round": 1}
    assert output.failure(DONE) == ""
    assert calls.made == [("log", "reading")]


def test_a_newer_hello_is_read_beside_values_that_v1_does_not_have(output, calls):
    output.feed(line(event="hello", protocol=1, engine="0.2.0", command="status", features=["x"]))
    output.feed(line(event="progress", fraction=0.5, stage="mapping", eta=3))
    assert calls.made == [("progress", 0.5, "mapping")]


def test_an_engine_of_another_protocol_gives_a_warning(output, calls):
    output.feed(line(event="hello", protocol=2, engine="9.0"))
    assert len(calls.made) == 1
    assert "protocol 2" in calls.made[0][1]


def test_the_engines_own_words_are_the_failure(output):
    output.feed(line(event="error", code="raster", message="town.tif: 1 band"), b"Error: town.tif\n")
    assert output.failure(MISTAKE) == output.failure(DAMAGED) == "town.tif: 1 band"


def test_without_an_error_event_the_last_line_on_stderr_is_the_reason(output):
    output.feed(err=b"Traceback\nValueError: x\n")
    assert output.failure(MISTAKE) == "ValueError: x"
    assert "ended with code 1: ValueError: x" in output.failure(BUG)
    assert "killed or crashed" in output.failure(DIED)


def test_a_stop_on_request_is_no_failure(output):
    output.feed(line(event="error", code="cancelled", message="stopped"))
    assert output.failure(STOPPED) == ""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(12.5, 12.5), (0, 0.0), (None, None), ("soon", None), (-1, None), (float("nan"), None)],
)
def test_the_seconds_that_are_left_are_a_number_or_unknown(value, seconds):
    assert Event("progress", {"eta_s": value}).seconds_left == seconds
