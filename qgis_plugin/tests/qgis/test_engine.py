import os
import threading
from pathlib import Path

import pytest
from qgis.core import QgsProcessingFeedback, QgsSettings

from tsfal_qgis.engine import engine
from tsfal_qgis.engine import job as runs
from tsfal_qgis.engine.engine import EngineConfig, EngineError, EngineStopped, split_command
from tsfal_qgis.engine.job import EngineJob, run_engine
from tsfal_qgis.engine.process import clean_environment

FAKE = ["/usr/bin/python3", str(Path(__file__).parents[1] / "fake_engine.py")]


@pytest.fixture(autouse=True)
def bare_settings(monkeypatch, tmp_path):
    QgsSettings().remove("tsfal")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    yield
    QgsSettings().remove("tsfal")


@pytest.fixture
def job(qtbot):
    made = EngineJob(command=FAKE)
    made.events = []
    for name in ("progressed", "logged", "artefact_written", "warned", "failed", "ended"):
        getattr(made, name).connect(lambda *values, name=name: made.events.append((name, *values)))
    yield made
    made.shut_down(0)


def finish(job, qtbot, *arguments, **more):
    with qtbot.waitSignal(job.ended, timeout=20_000):
        job.start(list(arguments), **more)
    return job.events


def of(events, name):
    return [values[0] if len(values) == 1 else values for kind, *values in events if kind == name]


def test_a_run_reports_everything_and_ends_with_its_result(job, qtbot):
    events = finish(job, qtbot, "train")
    assert of(events, "progressed") == [[0.25, "training: step 1/4"], [1.0, "training"]]
    assert sorted(of(events, "logged")) == ["Grüße", "a library's chatter", "and on stderr"]
    assert of(events, "artefact_written") == [["prediction", "/ws/rounds/000/town/prediction.tif"]]
    assert of(events, "warned") == ["a file is not used"]
    assert of(events, "failed") == []
    assert events[-1] == ("ended", 0, {"round": 0, "status": "waiting"})
    assert not job.running


def test_a_job_can_run_again(job, qtbot):
    finish(job, qtbot, "mistake")
    events = finish(job, qtbot, "train")
    assert [code for code, _ in of(events, "ended")] == [2, 0]


def test_a_job_at_work_refuses_a_second_start(job, qtbot):
    job.start(["wait"])
    with pytest.raises(EngineError):
        job.start(["wait"])


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("mistake", 2, "town.tif: found 1 band, expected 3"),
        ("bug", 1, "RuntimeError: unexpected"),
        ("crash", -1, "killed or crashed"),
    ],
)
def test_a_failure_is_reported_once_and_then_the_end(job, qtbot, how, code, message):
    events = finish(job, qtbot, how)
    (failure,) = of(events, "failed")
    assert message in failure
    assert events[-1] == ("ended", code, {})


def test_an_engine_that_is_not_there_is_a_failure(qtbot):
    job = EngineJob(command=["/nowhere/tsfal-geo"])
    failures = []
    job.failed.connect(failures.append)
    with qtbot.waitSignal(job.ended, timeout=5000) as ended:
        job.start(["train"])
    assert ended.args == [-2, {}]
    assert "/nowhere/tsfal-geo" in failures[0]
    assert not job.running


def test_cancel_closes_stdin_and_is_no_failure(job, qtbot):
    job.start(["wait"])
    qtbot.waitUntil(lambda: bool(of(job.events, "progressed")), timeout=10_000)
    with qtbot.waitSignal(job.ended, timeout=10_000) as ended:
        job.cancel()
    assert ended.args == [4, {}]
    assert of(job.events, "failed") == []


def test_an_engine_that_does_not_listen_is_killed_after_the_grace(job, qtbot):
    job.start(["deaf"])
    qtbot.waitUntil(lambda: bool(of(job.events, "progressed")), timeout=10_000)
    with qtbot.waitSignal(job.ended, timeout=10_000) as ended:
        job.cancel(grace_ms=100)
    assert ended.args == [4, {}]


def test_the_grace_of_an_earlier_run_does_not_kill_the_next(job, qtbot):
    job.start(["wait"])
    with qtbot.waitSignal(job.ended, timeout=10_000):
        job.cancel(grace_ms=300)
    job.start(["wait"])
    qtbot.wait(600)
    assert job.running


def test_shutting_down_waits_until_the_engine_is_gone(job, qtbot):
    job.start(["deaf"])
    qtbot.waitUntil(lambda: bool(of(job.events, "progressed")), timeout=10_000)
    job.shut_down(100)
    assert not job.running
    assert job.events[-1][0] == "ended"


def test_many_events_at_once_all_arrive(job, qtbot):
    events = finish(job, qtbot, "flood")
    assert len(of(events, "progressed")) == 5_001
    assert events[-1] == ("ended", 0, {"lines": 5_000})


def test_the_engine_sees_nothing_of_qgis_own_libraries(job, qtbot, monkeypatch, tmp_path):
    spoilt = dict.fromkeys(("PYTHONPATH", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "QT_PLUGIN_PATH"), "/x")
    for name, value in spoilt.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TSFAL_KEPT", "yes")
    ((_, result),) = of(finish(job, qtbot, "environment", cwd=str(tmp_path)), "ended")
    assert not spoilt.keys() & result["environment"].keys()
    assert result["environment"]["TSFAL_KEPT"] == "yes"
    assert result["environment"]["PYTHONUTF8"] == "1"
    assert result["arguments"] == ["environment", "--json"]
    assert os.path.realpath(result["folder"]) == os.path.realpath(tmp_path)
    assert not clean_environment().contains("PROJ_LIB")


def test_processing_gets_result_artefacts_and_progress():
    feedback = QgsProcessingFeedback()
    shares = []
    feedback.progressChanged.connect(shares.append)
    result = run_engine(["train"], feedback, FAKE)
    assert result["round"] == 0
    assert result["artefacts"] == [("prediction", "/ws/rounds/000/town/prediction.tif")]
    assert shares == [25, 100]


@pytest.mark.parametrize(("how", "message"), [("mistake", "found 1 band"), ("crash", "killed or crashed")])
def test_processing_gets_the_failure(how, message):
    with pytest.raises(EngineError, match=message):
        run_engine([how], QgsProcessingFeedback(), FAKE)


@pytest.mark.parametrize(("how", "grace"), [("wait", 600_000), ("deaf", 300)])
def test_processing_can_be_cancelled(how, grace, monkeypatch):
    monkeypatch.setattr(runs, "_GRACE_MS", grace)
    feedback = QgsProcessingFeedback()
    threading.Timer(0.5, feedback.cancel).start()
    with pytest.raises(EngineStopped):
        run_engine([how], feedback, FAKE)


def wrapper(path, words):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + words)
    path.chmod(0o755)
    return path


def test_the_handshake_gives_the_version():
    assert EngineConfig().check(FAKE) == engine.Handshake("0.1.0")


@pytest.mark.parametrize("words", ["echo something else", "exit 3", "echo tsfal-geo, version 1; exit 1"])
def test_what_does_not_answer_as_the_engine_is_refused_with_the_remedy(tmp_path, words):
    answer = EngineConfig().check([str(wrapper(tmp_path / "x", words))])
    assert answer.version is None
    assert engine.INSTALL in answer.problem


def test_no_engine_at_all_gives_the_command_that_installs_it():
    config = EngineConfig()
    assert config.command() == []
    assert engine.INSTALL in config.check([]).problem
    with pytest.raises(EngineError, match="was not found"):
        EngineJob().start(["train"])
    with pytest.raises(EngineError, match="was not found"):
        run_engine(["train"], QgsProcessingFeedback())


def test_what_the_user_chose_comes_before_what_is_found(tmp_path):
    found = wrapper(tmp_path / ".venv/bin/tsfal-geo", "echo tsfal-geo, version 1")
    config = EngineConfig()
    assert config.command() == [str(found)]
    config.chosen = "/opt/other/tsfal-geo --flag"
    assert EngineConfig().command() == ["/opt/other/tsfal-geo", "--flag"]


def test_of_several_engines_the_first_that_answers_is_used(tmp_path, monkeypatch):
    broken = wrapper(tmp_path / "shims/tsfal-geo", "exit 127")
    works = wrapper(tmp_path / ".venv/bin/tsfal-geo", "echo tsfal-geo, version 1")
    monkeypatch.setenv("PATH", str(broken.parent) + os.pathsep + "/usr/bin:/bin")
    assert EngineConfig().command() == [str(works)]


def test_a_program_that_lies_beside_the_data_is_shown_and_never_run(tmp_path):
    data = tmp_path / "foreign" / "data"
    data.mkdir(parents=True)
    trap = wrapper(
        tmp_path / "foreign/.venv/bin/tsfal-geo", f"touch {tmp_path}/ran; echo tsfal-geo, version 1"
    )
    config = EngineConfig([str(data)])
    assert config.command() == []
    assert str(trap) in config.check([]).problem
    with pytest.raises(EngineError, match="if you trust it"):
        EngineJob().start(["train"], str(data))
    assert not (tmp_path / "ran").exists()


def test_a_command_may_be_a_program_an_environment_or_words(tmp_path):
    program = wrapper(tmp_path / "my env" / "bin" / "tsfal-geo", "true")
    assert split_command(str(program)) == [str(program)]
    assert split_command(str(tmp_path / "my env")) == [str(program)]
    assert split_command(f'"{program}" --x') == [str(program), "--x"]
    assert split_command("nice -n 5 tsfal-geo") == ["nice", "-n", "5", "tsfal-geo"]


def test_an_engine_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_CHECK_MS", 300)
    answer = EngineConfig().check([str(wrapper(tmp_path / "x", "exec sleep 60"))])
    assert answer.version is None
    assert "did not answer" in answer.problem
