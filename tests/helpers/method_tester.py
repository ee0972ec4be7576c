"""The tester of every training method: a test class inherits it and names its method."""

import csv
from typing import ClassVar

import pytest
import torch
from lightning import LightningModule
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tests.helpers.trained import CornerLabels, Notes, gradients, same, stop_after
from tsfal_geo.data.module import TsfDataModule
from tsfal_geo.errors import Cancelled

STEPS = 30


class MethodTester:
    """The contract of a training method, tested with a tiny network on a tiny town.

    Losses on labelled images have names that begin with one of ``labelled``: the others may ramp_up, as their
    weights do.
    """

    method = ""
    labelled: ClassVar[tuple[str, ...]] = ("labelled",)
    options: ClassVar[dict] = {}

    @pytest.fixture
    def config(self, make_config):
        def make(warmup_steps=0, **train):
            sections = {name: dict(section) for name, section in self.options.items()}
            sections["tsf"] = {**sections.get("tsf", {}), "warmup_steps": warmup_steps}
            sections["train"] = {"method": self.method, **sections.get("train", {}), **train}
            return make_config(**sections)

        return make

    @pytest.fixture
    def step(self, config, make_module, make_data, batch_of):
        """A module and the losses of its first step."""

        def run(progress=0.0, **data_options):
            made = config()
            data = make_data(made, **data_options)
            module = make_module(made, data)
            module._step = round(progress * module.total_steps)
            return module, module.losses(batch_of(data), module._seed())

        return run

    def test_labelled_loss_falls_and_the_classes_are_learnt(self, run, config, tmp_path):
        _, result, _ = run(config(lr=0.05, val_every=STEPS), steps=STEPS)
        rows = list(csv.DictReader((tmp_path / "run/logs/from-000000/metrics.csv").open()))
        rows = [row for row in rows if row["loss/total"]]
        names = [name for name in rows[0] if name.removeprefix("loss/").startswith(self.labelled)]
        losses = [sum(float(row[name]) for name in names) for row in rows]
        assert names and len(losses) == STEPS
        assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
        assert result.miou > 0.3  # one class everywhere has at most 0.25

    def test_stopped_and_resumed_is_bitwise_what_was_never_stopped_and_another_seed_is_not(self, run, config):
        full, _, _ = run(config(val_every=6), "full")
        with pytest.raises(Cancelled, match="after step 3"):
            run(config(val_every=6), "cut", disturb=stop_after(3))
        resumed, second, _ = run(config(val_every=6), "cut")
        assert second.resumed_from == 3 and same(full, resumed)
        other, _, _ = run(config(val_every=6, seed=1), "other")
        assert not same(full.predictor, other.predictor)
        assert all(value.isfinite().all() for name, value in full.state_dict().items())

    def test_manual_labels_on_unlabelled_images_are_learnt(self, run, config, make_data):
        plain, manual = (
            run(config(lr=0.05, val_every=12), folder, steps=12, manual=labels)[0]
            for folder, labels in (("plain", None), ("manual", CornerLabels()))
        )
        data = make_data(config())
        batch = {"image": torch.stack([data.partner(i)["image"] for i in range(4)]),
                 "valid": torch.ones(4, 64, 64, dtype=torch.bool)}  # fmt: skip
        for name in plain.evaluated():
            networks = [module.evaluated()[name].eval() for module in (plain, manual)]
            with torch.no_grad():
                before, after = (
                    network(plain.normaliser(batch)).logits.softmax(1)[:, 2].mean() for network in networks
                )
            assert after > before + 0.01, name

    def test_gradients_reach_every_trained_parameter_and_no_other(self, step):
        module, losses = step(progress=0.5)
        assert all(value.isfinite() for value in losses.values())
        parts = [value for name, value in losses.items() if name != "total"] or [losses["total"]]
        torch.testing.assert_close(losses["total"], torch.stack(parts).sum())
        losses["total"].backward()
        trained = {p for optimiser in module.configure_optimizers() for g in optimiser.param_groups
                   for p in g["params"]}  # fmt: skip
        for name, parameter in module.named_parameters():
            assert (parameter.grad is not None) == (parameter in trained), name

    def test_autocast_leaves_no_parameter_without_a_gradient(self, step):
        """Passes that make labels must not leave weights cast without gradients to the training passes."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            module, losses = step(progress=0.5)
        losses["total"].backward()
        for optimiser in module.configure_optimizers():
            for group in optimiser.param_groups:
                assert all(p.grad is not None and p.grad.isfinite().all() for p in group["params"])

    def test_in_the_warm_up_only_labels_teach(self, config, make_module, make_data, batch_of):
        made = config(warmup_steps=3)
        data = make_data(made)
        module = make_module(made, data)
        module._step = 2
        assert not module.warm and module.since_warmup == 0
        losses = module.losses(batch_of(data), module._seed())
        assert all(name == "total" or name.startswith(self.labelled) for name in losses)
        module._step = 3
        assert module.warm

    def test_without_unlabelled_chips_only_labels_teach(self, run, step, config):
        _, losses = step(unlabelled=0)
        assert all(name == "total" or name.startswith(self.labelled) for name in losses)
        module, _, _ = run(config(), steps=2, unlabelled=0)
        assert module.steps_done == 2

    def test_the_labelled_bank_follows_the_network(self, step):
        module, _ = step()
        fresh = type(module.branch.bank)(3, 0.999, False, module.config.train.seed)
        assert not torch.equal(module.branch.bank.confidence, fresh.confidence)

    @pytest.mark.parametrize("unlabelled", [8, 0])
    def test_ddp_finds_every_gradient(self, config, make_module, make_data, batch_of, tmp_path, unlabelled):
        """One process suffices: the reducer refuses the second step if a parameter had no gradient."""
        made = config()
        data = make_data(made, unlabelled=unlabelled)
        module = make_module(made, data)
        store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            ddp = DistributedDataParallel(_Total(module), find_unused_parameters=module.has_idle_parameters)
            for number in range(2):
                ddp(batch_of(data, number)).backward()
        finally:
            torch.distributed.destroy_process_group()

    @pytest.mark.slow
    def test_two_processes_learn_as_one(self, two_processes):
        two_processes()

    def ranks(self, alone, monkeypatch):
        """Gradients of the first step as each of two ranks finds them; ``alone`` runs it as one of them."""
        return alone(0), alone(1)

    @pytest.fixture
    def two_processes(self, run, config, make_module, make_data, tmp_path, monkeypatch):
        """Train in two processes; their gradients must be the mean of the ranks', their weights the same."""

        def alone(made, rank):
            monkeypatch.setattr(TsfDataModule, "_rank_and_world", lambda data: (rank, 2))
            monkeypatch.setattr(LightningModule, "global_rank", rank)
            data = make_data(made)
            module = make_module(made, data).train()
            module.begin(3)
            module.losses(next(iter(data.train_dataloader())), module._seed())["total"].backward()
            return gradients(module)

        def train():
            made = config(devices=2, val_every=2)
            module, result, events = run(made, steps=3, disturb=lambda module, _: Notes(module, tmp_path))
            assert result.steps == 3 and module.steps_done == 3 and 0 < result.miou <= 1
            assert [e["step"] for e in events if e.get("stage") == "training"][-1] == 3
            first, second = ([torch.load(tmp_path / f"{n}-{rank}.pt") for n in range(3)] for rank in range(2))
            torch.testing.assert_close(first, second, rtol=0, atol=0)
            own, other = self.ranks(lambda rank: alone(made, rank), monkeypatch)
            assert not all(torch.allclose(value, other[name]) for name, value in own.items())
            mean = {name: (value + other[name]) / 2 for name, value in own.items()}
            # What is nothing but rounding (a bias before a norm) is measured by what is not.
            largest = max(value.abs().max().item() for value in mean.values())
            torch.testing.assert_close(first[0]["gradients"], mean, rtol=1e-4, atol=1e-4 * largest)
            return module

        return train


class _Total(nn.Module):
    """The losses of a training module as a forward pass, which is what DDP watches."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, batch):
        return self.module.losses(batch, self.module._seed())["total"]
