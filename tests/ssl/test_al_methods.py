"""What DEAL's and S4AL's trainings share with every other: they learn, repeat and resume."""

import threading

import pytest
import torch

from tsfal_geo.errors import Cancelled
from tsfal_geo.ssl.trainer import fit


@pytest.fixture
def run(make_config, make_data, make_module, tmp_path):
    def make(method, folder, steps=8, stop_at=None, **train):
        config = make_config(
            train={"method": method, "steps": steps, "checkpoint_every": 3, **train},
            augment={"scale": (1, 1)},
        )
        data = make_data(config)
        module = make_module(config, data)
        module.adaptive = True
        stop = threading.Event()
        if stop_at is not None:
            after = module.after_step
            module.after_step = lambda: (after(), module.steps_done == stop_at and stop.set())
        told = []
        fit(
            module,
            data,
            folder=tmp_path / folder,
            steps=steps,
            config=config,
            on_event=told.append,
            stop=stop,
        )
        return module, [event["loss"] for event in told if "loss" in event]

    return make


def same(first, second):
    states = first.state_dict(), second.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("method", ["deal", "s4al"])
def test_stopped_and_resumed_is_bitwise_what_was_never_stopped(method, run):
    whole, _ = run(method, "whole")
    again, _ = run(method, "again")
    other, _ = run(method, "other", seed=1)
    assert same(whole, again) and not same(whole.predictor, other.predictor)
    with pytest.raises(Cancelled):
        run(method, "cut", stop_at=4)
    assert same(whole, run(method, "cut")[0])


@pytest.mark.parametrize("method", ["deal", "s4al"])
def test_the_classes_are_learnt(method, run):
    module, _ = run(method, "run", steps=30, lr=0.1, val_every=30)
    assert module.metrics["miou"] > 0.5
