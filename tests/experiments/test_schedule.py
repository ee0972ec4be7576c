"""The order in which trainings start, and their common end; functions stand for the trainings."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tsfal_geo.config import Config
from tsfal_geo.errors import Cancelled, RasterError
from tsfal_geo.experiments.jobs import ExperimentJob
from tsfal_geo.experiments.schedule import run_together
from tsfal_geo.rounds.request import Request


class RecordingReporter:
    def __init__(self):
        self.stop, self.lines = threading.Event(), []

    def say(self, text):
        self.lines.append(text)

    warning = say


@pytest.fixture
def job(tmp_path):
    def request(name):
        return Request(tmp_path / name, tmp_path, None, Config())

    def make(row, seed=0, first=None):
        return ExperimentJob(row, "", seed, request(f"{row}-{seed}"), request(first) if first else None)

    return make


def run(jobs, tasks, workers=2, reporter=None):
    """Run each job as the function of its folder in ``tasks``; return started, ended and error."""
    reporter, halted = reporter or RecordingReporter(), threading.Event()
    started, ended = [], []

    def work(name):
        tasks.get(name, lambda _halted: None)(halted)

    with ThreadPoolExecutor(workers) as pool:

        def start(task):
            name = (task.request if isinstance(task, ExperimentJob) else task).root.name
            started.append(name)
            return pool.submit(work, name)

        try:
            run_together(jobs, workers, start, halted.set, reporter, lambda job: ended.append(job.row))
        except BaseException as error:
            return started, ended, error
    return started, ended, None


def until_halted(halted):
    assert halted.wait(30), "the schedule did not ask it to stop"
    raise Cancelled


def test_rows_wait_for_their_own_first_training_alone(job):
    other = threading.Event()
    jobs = [job("b", 0, "first-0"), job("c", 0, "first-0"), job("b", 1, "first-1"), job("a", 2)]
    tasks = {
        "first-0": lambda _: other.wait(30),
        "b-1": lambda _: other.set(),  # so seed 1 went past seed 0
    }
    started, ended, error = run(jobs, tasks)
    assert error is None and ended[0] == "b" and sorted(ended) == ["a", "b", "b", "c"]
    assert started[:3] == ["first-0", "first-1", "b-1"] and started.count("first-0") == 1
    assert started.index("b-0") > started.index("b-1")


def test_what_needs_no_first_training_starts_at_once(job):
    free = threading.Event()
    jobs = [job("ours", 0, "first-0"), job("Random", 0)]
    tasks = {"first-0": lambda _: free.wait(30), "Random-0": lambda _: free.set()}
    assert run(jobs, tasks)[:2] == (["first-0", "Random-0", "ours-0"], ["Random", "ours"])


def test_one_failure_stops_the_others_and_keeps_what_ended(job):
    def fail(_halted):
        raise RasterError("a.tif: broken")

    def saved_in_time(halted):
        assert halted.wait(30)

    reporter = RecordingReporter()
    jobs = [job("bad"), job("last"), job("long"), job("never")]
    tasks = {"bad-0": fail, "last-0": saved_in_time, "long-0": until_halted}
    started, ended, error = run(jobs, tasks, workers=3, reporter=reporter)
    assert isinstance(error, RasterError) and ended == ["last"] and "never-0" not in started
    assert "bad, seed 0 failed: a.tif: broken" in reporter.lines


def test_a_stop_is_passed_on_and_keeps_what_ended(job):
    reporter = RecordingReporter()
    tasks = {"a-0": lambda _: reporter.stop.set(), "b-0": until_halted}
    started, ended, error = run([job("a"), job("b"), job("c")], tasks, reporter=reporter)
    assert isinstance(error, Cancelled) and ended == ["a"] and "c-0" not in started


def test_a_stop_after_all_ended_is_none(job):
    reporter = RecordingReporter()
    assert run([job("a")], {"a-0": lambda _: reporter.stop.set()}, reporter=reporter)[1:] == (["a"], None)
