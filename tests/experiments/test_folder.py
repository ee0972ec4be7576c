import json
import threading
from dataclasses import replace

import pytest
from filelock import FileLock

from tsfal_geo.config import load_config
from tsfal_geo.errors import Cancelled, ConfigError, UserError
from tsfal_geo.experiments.folder import TableSource, check, claimed, held

REAL = TableSource("table3", "/data/vaihingen", False)
QUICK = TableSource("table3", None, True)


class RecordingReporter:
    def __init__(self):
        self.stop, self.lines = threading.Event(), []

    def say(self, text):
        self.lines.append(text)


def claim(out, source):
    with claimed(out, source, RecordingReporter()):
        pass


@pytest.mark.parametrize("other", [QUICK, replace(REAL, data="/data/other"), replace(REAL, table="table4")])
def test_a_folder_keeps_to_its_source(tmp_path, other):
    claim(tmp_path, REAL)
    claim(tmp_path, REAL)
    with pytest.raises(
        UserError, match=r"holds runs of `bench table3 --data /data/vaihingen`, asked for `bench"
    ) as e:
        claim(tmp_path, other)
    assert str(other) in str(e.value) and "another --out" in str(e.value) and "\n" not in str(e.value)


def test_data_that_could_not_be_made_ready_do_not_bind(tmp_path):
    with pytest.raises(OSError, match="no such data"), claimed(tmp_path, REAL, RecordingReporter()):
        raise OSError("no such data")
    claim(tmp_path, QUICK)


def test_a_folder_from_before_sources_were_noted_goes_on(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(UserError, match="asked for `bench table3 --quick`"):
        claim(tmp_path, QUICK)
    claim(tmp_path, REAL)
    assert json.loads((tmp_path / "source.json").read_text())["data"] == "/data/vaihingen"
    quick = tmp_path / "quick"
    (quick / "fixture").mkdir(parents=True)
    with pytest.raises(UserError, match="holds runs of `bench table3 --quick`"):
        claim(quick, REAL)
    claim(quick, QUICK)


def test_a_damaged_note_raises(tmp_path):
    (tmp_path / "source.json").write_text("{")
    with pytest.raises(UserError, match=r"source\.json: damaged"):
        claim(tmp_path, REAL)


def reconfigured(job, **changes):
    config = load_config(
        None, {key.replace("__", "."): value for key, value in changes.items()}, job.request.config
    )
    return replace(job, request=replace(job.request, config=config))


def test_a_run_of_another_configuration_is_refused_by_the_key(finished):
    job = finished("TSF", 0, 0.5, "1/8")
    check([job])
    with pytest.raises(
        ConfigError, match=r"tsf-1-8-0: train\.steps was 20000 and would be 7 now; .* another --out"
    ):
        check([reconfigured(job, train__steps=7)])


def test_where_a_run_computes_is_no_other_configuration(finished):
    job = finished("TSF", 0, 0.5)
    check([reconfigured(job, train__num_workers=3, train__accelerator="cpu", export__batch=2)])
    job = reconfigured(job, data__labelled_list="here/1_8.txt")
    kept = replace(job, request=replace(job.request, root=finished("MT", 0, 0.5).request.root))
    with pytest.raises(ConfigError, match=r"data\.labelled_list was None"):
        check([kept])


def test_a_shared_first_training_of_another_configuration_is_refused_too(finished, tmp_path):
    first = finished("first", 0, 0.5)
    job = finished("ours", 0, 0.5, steps=(3, 3), first=first.request)
    check([job])
    with pytest.raises(ConfigError, match=r"first-0: train\.lr was"):
        check([replace(job, first=reconfigured(first, train__lr=0.002).request)])


def test_a_mere_copy_of_the_first_training_is_no_run_yet(finished):
    first = finished("first", 0, 0.5)
    copied = finished("ours", 0, 0.5, first=first.request)
    assert not copied.begun
    check([reconfigured(copied, active__oracle=True)])


def test_a_lock_is_waited_for_until_it_is_free_or_a_stop(tmp_path):
    path, reporter = tmp_path / "lock", RecordingReporter()
    other = FileLock(path, thread_local=False)  # another thread lets it go
    other.acquire()
    threading.Timer(1.2, other.release).start()
    with held(path, reporter):
        assert any(str(path) in line for line in reporter.lines)
    with FileLock(path):
        reporter.stop.set()
        with pytest.raises(Cancelled), held(path, reporter):
            raise AssertionError("entered")
