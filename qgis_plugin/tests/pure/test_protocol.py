import json

import pytest

from tsfal_qgis.engine.protocol import (
    BUG,
    DAMAGED,
    DIED,
    DONE,
    MISTAKE,
    STOPPED,
    Conversation,
    LineReader,
    Listener,
    parse_event,
)


class Heard:
    def __init__(self):
        self.calls = []

    def listener(self):
        def note(name):
            return lambda *values: self.calls.append((name, *values))

        return Listener(note("progress"), note("log"), note("artefact"), note("warning"))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def conversation(heard):
    return Conversation(heard.listener())


def line(**values):
    return (json.dumps(values, ensure_ascii=False) + "\n").encode()


def test_an_event_is_its_kind_and_values_without_the_envelope():
    event = parse_event('{"event": "result", "round": 3, "time": "2026-01-01T00:00:00Z"}')
    assert (event.kind, event.values) == ("result", {"round": 3})


@pytest.mark.parametrize(
    "text",
    ["Epoch 1", "{", "[1]", "3", "null", '{"a": 1}', '{"event": "other"}', '{"event": ["log"]}', "[" * 5000],
)
def test_what_is_no_event_is_a_log_line_as_it_is(text):
    event = parse_event(text)
    assert (event.kind, event.message) == ("log", text)


@pytest.mark.parametrize(
    ("value", "fraction"),
    [("0.5", 0.5), ("7", 1.0), ("-1", 0.0), ("NaN", 0.0), ("null", 0.0), ('"x"', 0.0), ("[]", 0.0)],
)
def test_a_progress_bar_always_gets_a_number_from_0_to_1(value, fraction):
    assert parse_event('{"event": "progress", "fraction": %s}' % value).fraction == fraction


def test_lines_cut_anywhere_come_out_whole():
    data = 'Grüße\r\n\n{"a": 1}\nlast'.encode()
    for size in range(1, len(data)):
        reader = LineReader()
        lines = []
        for start in range(0, len(data), size):
            lines += reader.feed(data[start : start + size])
        assert [*lines, *reader.close()] == ["Grüße", '{"a": 1}', "last"]


def test_each_event_reaches_who_waits_for_it(conversation, heard):
    conversation.hear(
        line(event="hello", protocol=1, engine="0.1.0")
        + line(event="progress", fraction=0.5, stage="training", note="loss 0.1")
        + line(event="artefact", kind="map", path="/a.tif")
        + line(event="warning", message="look")
        + line(event="result", round=1)
        + b"chatter",
        b"on stderr",
        last=True,
    )
    assert heard.calls == [
        ("progress", 0.5, "training: loss 0.1"),
        ("artefact", "map", "/a.tif"),
        ("warning", "look"),
        ("log", "chatter"),
        ("log", "on stderr"),
    ]
    assert conversation.result == {"round": 1}
    assert conversation.failure(DONE) == ""


def test_an_engine_of_another_protocol_is_warned_of(conversation, heard):
    conversation.hear(line(event="hello", protocol=2, engine="9.0"))
    assert len(heard.calls) == 1
    assert "protocol 2" in heard.calls[0][1]


def test_the_engines_own_words_are_the_failure(conversation):
    conversation.hear(line(event="error", code="raster", message="town.tif: 1 band"), b"Error: town.tif\n")
    assert conversation.failure(MISTAKE) == conversation.failure(DAMAGED) == "town.tif: 1 band"


def test_without_an_error_event_the_last_line_on_stderr_tells(conversation):
    conversation.hear(err=b"Traceback\nValueError: x\n")
    assert conversation.failure(MISTAKE) == "ValueError: x"
    assert "ended with code 1: ValueError: x" in conversation.failure(BUG)
    assert "killed or crashed" in conversation.failure(DIED)


def test_being_stopped_as_asked_is_no_failure(conversation):
    conversation.hear(line(event="error", code="cancelled", message="stopped"))
    assert conversation.failure(STOPPED) == ""
