import csv
import math
import signal
import threading

import pytest
import torch
from sklearn.metrics import jaccard_score
from torch.nn.functional import interpolate

from tests.helpers.trained import same, stop_after
from tsfal_geo.errors import Cancelled, ConfigError, UserError, WorkspaceError
from tsfal_geo.refinement.refiner import ActiveRefiner
from tsfal_geo.training import devices
from tsfal_geo.training import fit as fitting
from tsfal_geo.training.fit import choose_strategy, warm_start
from tsfal_geo.training.module import intersection_over_union


def terminate(module, stop):
    """Be sent SIGTERM in the third step, with nobody but Lightning to handle it."""
    done = module.after_step

    def after_step():
        done()
        if module.steps_done == 2:
            signal.raise_signal(signal.SIGTERM)

    module.after_step = after_step


def lose_the_number(module, stop):
    """Have a loss of NaN from the second step on."""
    losses = module.losses

    def diverging(batch, rng):
        values = losses(batch, rng)
        return {**values, "total": values["total"] * float("nan")} if module.steps_done else values

    module.losses = diverging


def crash(module, stop):
    """Fail in the fifth step."""
    losses = module.losses

    def failing(batch, rng):
        if module.steps_done == 4:
            raise ZeroDivisionError
        return losses(batch, rng)

    module.losses = failing


def test_sigterm_leaves_a_checkpoint_of_the_step(run, make_config):
    with pytest.raises(Cancelled, match="after step 3 of 6"):
        run(make_config(), disturb=terminate)
    assert run(make_config())[1].resumed_from == 3


def test_stopped_and_resumed_has_the_weights_and_figures_of_what_was_never_stopped(run, make_config):
    config = make_config("paper", train={"val_every": 2})
    full, result, _ = run(config, "full")
    with pytest.raises(Cancelled, match="after step 3 of 6"):
        run(config, "cut", disturb=stop_after(3))
    resumed, second, _ = run(config, "cut")
    assert second.resumed_from == 3
    assert same(full, resumed)
    assert second.metrics == result.metrics and second.best_miou == result.best_miou


def test_killed_between_checkpoints_is_bitwise_what_was_never_killed(run, make_config):
    config = make_config(train={"checkpoint_every": 3, "val_every": 2})
    full, result, _ = run(config, "full")
    with pytest.raises(ZeroDivisionError):
        run(config, "cut", disturb=crash)
    resumed, second, _ = run(config, "cut")
    assert second.resumed_from == 3 and same(full, resumed)
    assert second.best_miou == result.best_miou


def test_validation_against_scikit_learn(run, make_config, make_data):
    config = make_config()
    module, result, _ = run(config, steps=2, val=5)
    predicted, truth = [], []
    for batch in make_data(config, val=5).val_dataloader():
        with torch.no_grad():
            logits = module.predictor.eval()(module.normaliser(batch)).logits
        fine = interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
        predicted.append(fine.argmax(1).flatten())
        truth.append(batch["mask"].flatten())
    predicted, truth = torch.cat(predicted), torch.cat(truth)
    present = sorted(set(predicted.tolist()) | set(truth.tolist()))
    expected = jaccard_score(truth, predicted, labels=present, average=None)
    assert result.miou == pytest.approx(expected.mean(), rel=1e-6)
    assert {"miou_teacher", "miou_student", "miou_friend", "iou_ground"} <= result.metrics.keys()


def test_iou_of_absent_classes_is_left_out():
    iou = intersection_over_union(torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]]))
    assert iou[:2].tolist() == pytest.approx([3 / 6, 4 / 7]) and math.isnan(iou[2])


def test_progress_logs_and_best_miou(run, make_config, tmp_path):
    module, result, events = run(make_config(train={"val_every": 3}))
    assert "precision 32-true" in events[0]["message"]
    last = [event for event in events if event.get("stage") == "training"][-1]
    assert (last["step"], last["steps"], last["fraction"], last["eta_s"]) == (6, 6, 1.0, 0.0)
    assert last["loss"] == pytest.approx(float(module._loss), abs=1e-4)
    rows = list(csv.DictReader((tmp_path / "run/logs/from-000000/metrics.csv").open()))
    assert [row["step"] for row in rows if row["val/miou"]] == ["3", "6"]
    assert sum(bool(row["loss/total"]) for row in rows) == 6
    assert list((tmp_path / "run/logs/tensorboard").glob("events*"))
    assert result.best_miou >= result.miou - 1e-6  # kept as float32
    assert not list((tmp_path / "run").glob("*.safetensors"))


def test_without_tensorboard_a_training_names_the_extra_once(run, make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "find_spec", lambda name: None)
    monkeypatch.setattr(fitting, "_tensorboard_noted", threading.Event())
    events = [event for folder in ("run", "next") for event in run(make_config(), folder, steps=2)[2]]
    notes = [event["message"] for event in events if "TensorBoard" in event.get("message", "")]
    assert len(notes) == 1 and "pip install 'tsfal-geo[tensorboard]'" in notes[0]
    assert (tmp_path / "run/logs/from-000000/metrics.csv").is_file()
    assert not (tmp_path / "run/logs/tensorboard").exists()


def test_without_validation_chips_there_is_no_best(run, make_config):
    _, result, _ = run(make_config(), steps=2, val=0)
    assert result.miou is None and result.best_miou is None and result.metrics == {}


def test_a_finished_training_is_not_trained_again(run, make_config):
    config = make_config()
    first, result, _ = run(config)
    again, second, _ = run(config)
    assert second.resumed_from == 6 and same(first, again) and second.miou == result.miou


def test_checkpoint_needs_no_pickle_and_a_damaged_one_is_named(run, make_config, tmp_path):
    run(make_config(), steps=2)
    path = tmp_path / "run" / "resume.ckpt"
    torch.load(path, weights_only=True)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WorkspaceError, match=r"resume\.ckpt: damaged"):
        run(make_config(), steps=2)


def test_checkpoint_of_another_method_is_refused(run, make_config):
    run(make_config(), steps=2)
    with pytest.raises(WorkspaceError, match="another network"):
        run(make_config(train={"method": "supervised"}), steps=4)


def test_a_failed_write_leaves_the_old_checkpoint(run, make_config, tmp_path, monkeypatch):
    config = make_config(train={"checkpoint_every": 2})
    full, _, _ = run(config, "full")
    original, calls = torch.save, []

    def fail_later(content, path):
        calls.append(path)
        original(content, path)
        if len(calls) == 2:
            raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", fail_later)
    with pytest.raises(OSError, match="no space"):
        run(config)
    assert [p.name for p in (tmp_path / "run").iterdir() if p.is_file() and p.suffix == ".ckpt"] == [
        "resume.ckpt"
    ]
    monkeypatch.undo()
    resumed, result, _ = run(config)
    assert result.resumed_from == 2 and same(full, resumed)


def test_a_loss_that_is_no_number_is_reported_and_not_saved(run, make_config, tmp_path):
    with pytest.raises(UserError, match=r"loss is nan at step 2, .*train\.lr"):
        run(make_config(), disturb=lose_the_number)
    assert not (tmp_path / "run" / "resume.ckpt").exists()


def test_warm_start_takes_weights_and_banks_but_not_the_step(
    run, make_config, make_module, make_data, tmp_path
):
    config = make_config()
    first, _, _ = run(config)
    data = make_data(config, labelled=6, unlabelled=5)
    second = make_module(config, data)
    warm_start(second, tmp_path / "run" / "resume.ckpt")
    assert same(first.student, second.student) and same(first.teacher, second.teacher)
    assert torch.equal(first.branch.bank.confidence, second.branch.bank.confidence)
    assert second.steps_done == 0 and second.step == 0 and not second.presence.present.any()


def joins(checkpoint, states_before):
    """Train the second half; ``states_before`` receives the optimiser's state before its first step."""

    def join(module, stop):
        module.continue_schedule(6, 3, checkpoint)
        losses = module.losses

        def recording(batch, rng):
            if module.steps_done == 0:
                states = module.optimizers().optimizer.state_dict()["state"]
                states_before.update(
                    {key: {k: v.clone() for k, v in value.items()} for key, value in states.items()}
                )
            return losses(batch, rng)

        module.losses = recording

    return join


def test_a_part_of_a_training_begins_with_the_moments_of_the_part_before(run, make_config, tmp_path):
    config = make_config(train={"optimiser": "adamw", "lr": 0.001, "weight_decay": 0.1})
    run(config, steps=3)
    checkpoint = tmp_path / "run" / "resume.ckpt"
    left = torch.load(checkpoint)["optimizer_states"][0]["state"]
    states_before = {}
    other = make_config(train={"optimiser": "adamw", "lr": 0.001, "weight_decay": 0.2})
    second, _, _ = run(other, folder="second", steps=3, disturb=joins(checkpoint, states_before))
    assert len(left) == len(states_before) > 0
    for key, values in left.items():
        assert all(
            torch.equal(values[name], states_before[key][name]) for name in ("step", "exp_avg", "exp_avg_sq")
        )
    (optimiser,) = second.trainer.optimizers
    assert {int(state["step"]) for state in optimiser.state.values()} == {6}
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.2}


def test_warm_up_and_ramp_follow_the_schedule_of_all_rounds(make_config, make_module):
    module = make_module(make_config(tsf={"warmup_steps": 4}))
    module.continue_schedule(20, 0)
    module.begin(8)
    assert (module.warm, module.since_warmup, module.progress) == (False, 0, 0)
    module.continue_schedule(20, 8)
    module.begin(12)
    assert (module.warm, module.since_warmup, module.progress) == (True, 4 / 16, 8 / 20)


def test_moments_of_another_optimiser_are_left_behind(run, make_config, tmp_path):
    run(make_config(train={"optimiser": "adamw", "lr": 0.001}), steps=3)
    states_before = {}
    run(
        make_config(),
        folder="second",
        steps=3,
        disturb=joins(tmp_path / "run" / "resume.ckpt", states_before),
    )
    assert states_before == {}


def test_warm_start_takes_the_labels_that_there_are_now_and_the_predictions_as_they_were(
    make_config, make_module, tmp_path
):
    first, second = (make_module(make_config(tsf={"align": True})) for _ in range(2))
    first.alignment.prior.copy_(torch.tensor([0.1, 0.1, 0.8]))
    first.alignment.seen.copy_(torch.tensor([0.2, 0.3, 0.5]))
    prior = second.alignment.prior.clone()
    torch.save({"state_dict": first.state_dict()}, tmp_path / "resume.ckpt")
    warm_start(second, tmp_path / "resume.ckpt")
    assert torch.equal(second.alignment.prior, prior)
    assert torch.equal(second.alignment.seen, first.alignment.seen)


def test_warm_start_leaves_the_refiner_s_configuration(make_config, make_module, tmp_path):
    """Also from a checkpoint of before it counted steps without the decoder."""
    modules = []
    for threshold in (0.5, 0.7):
        config = make_config(emd={"threshold": threshold})
        modules.append(make_module(config, refiner=ActiveRefiner(config.emd, config.plar, 3, refining=True)))
    first, second = modules
    first.refiner.trained.fill_(43)
    state = first.state_dict()
    del state["refiner.without_decoder"]
    torch.save({"state_dict": state}, tmp_path / "resume.ckpt")
    warm_start(second, tmp_path / "resume.ckpt")
    assert float(second.refiner.threshold) == pytest.approx(0.7)
    assert (int(second.refiner.trained), int(second.refiner.without_decoder)) == (43, 0)
    assert same(first.refiner.emd, second.refiner.emd)


def test_learning_rate_is_poly_with_faster_heads(run, make_config):
    config = make_config(train={"head_lr_mult": 10, "lr": 0.01})
    module, _, _ = run(config, steps=4)
    (optimiser,) = module.trainer.optimizers
    expected = 0.01 * (1 - 3 / 4) ** 0.9
    assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([expected, 10 * expected] * 2)


def test_precision_follows_the_processor(make_config, monkeypatch):
    train = make_config(train={"precision": "auto"}).train
    for features, expected in (
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": True, "cpu_name": "AMD EPYC"}, "bf16-mixed"),
        ({"avx512_bf16": True, "cpu_name": "Intel Xeon"}, "32-true"),
        ({"cpu_name": "AMD EPYC"}, "32-true"),
        ({}, "32-true"),
    ):
        monkeypatch.setattr(devices.torch.cpu, "get_capabilities", lambda found=features: found)
        assert devices.choose_precision(train)[0] == expected
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        devices.choose_precision(make_config(train={"precision": "auto", "accelerator": "gpu"}).train)


def test_strategy(make_config, make_module, monkeypatch):
    module = make_module(make_config())
    two = make_config(train={"devices": 2}).train
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert choose_strategy(make_config(train={"devices": 1}).train, module) == "auto"
    assert choose_strategy(two, module) == "ddp_spawn"
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert choose_strategy(two, module) == "ddp"
