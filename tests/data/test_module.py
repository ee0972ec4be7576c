"""The training stream is the same with any workers and after a resume; ranks share nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer

from tsfal_geo.config import TrainConfig
from tsfal_geo.data.module import TsfDataModule
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.chips import scene_chips
from tsfal_geo.raster.reader import SceneReader


@pytest.fixture
def make_module(make_scene, random_labels):
    scene = make_scene(shape=(256, 256))
    labels = random_labels(scene)
    chips = scene_chips([scene], 64, "pad")

    def make(held_out=chips[4:6], unlabelled=chips[6:], **kwargs):
        config = TrainConfig(steps=9, num_workers=kwargs.pop("workers", 0), accelerator="cpu")
        return TsfDataModule(
            SceneReader([scene], None, False),
            labels,
            chips[:4],
            unlabelled,
            held_out,
            manual=labels,
            val_labels=labels,
            val_chips=chips[:11],
            config=config,
            **kwargs,
        )

    return make


def same(first, second):
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


def test_a_step_holds_its_parts(make_module):
    module = make_module()
    loader = module.train_dataloader()
    assert len(loader) == 9
    item = next(iter(loader))
    assert item["step"] == 0
    assert set(item) == {"step", "labelled", "unlabelled", "held_out"}
    assert item["labelled"]["image"].shape == (2, 3, 64, 64)
    assert item["labelled"]["image"].dtype == torch.uint8
    assert "mask" in item["labelled"] and "mask" not in item["unlabelled"]
    assert item["unlabelled"]["manual"].dtype == torch.uint8
    assert item["labelled"]["seed"].dtype == torch.int64
    assert item["labelled"]["transform"].dtype == torch.float64


def test_labelled_chips_are_read_and_drawn_by_their_shares(make_module):
    module = make_module(shares=(1.0, 0.5, 0.25, 0.25), steps=2000)
    stream = module._parts()["labelled"].stream
    read = np.bincount([i for step in range(2000) for i in stream.indices(step)], minlength=4) / 4000
    rng = np.random.default_rng(0)
    drawn = np.bincount([int(module.labelled_sample(rng)["index"]) for _ in range(2000)], minlength=4) / 2000
    for found in (read, drawn):
        assert found == pytest.approx([0.5, 0.25, 0.125, 0.125], abs=0.03)
    assert module.sparse and not make_module().sparse
    assert module._parts()["unlabelled"].stream.shares is None


def test_parts_without_chips_are_absent(make_module):
    item = next(iter(make_module(held_out=(), unlabelled=()).train_dataloader()))
    assert set(item) == {"step", "labelled"}


def test_resumed_training_sees_what_an_uninterrupted_one_sees(make_module):
    full = list(make_module(seed=3).train_dataloader())
    rest = list(make_module(seed=3, start=5).train_dataloader())
    assert [item["step"] for item in rest] == [5, 6, 7, 8]
    assert all(same(first, second) for first, second in zip(full[5:], rest, strict=True))
    assert not same(full[0]["labelled"], next(iter(make_module(seed=4).train_dataloader()))["labelled"])


def test_workers_change_nothing(make_module):
    alone = list(make_module().train_dataloader())
    helped = list(make_module(workers=2).train_dataloader())
    assert all(same(first, second) for first, second in zip(alone, helped, strict=True))


def test_ranks_share_no_chip_and_no_seed(make_module):
    drawn, seeds, validated = [], [], []
    for rank in range(2):
        module = make_module()
        module.trainer = SimpleNamespace(
            global_rank=rank, world_size=2, strategy=SimpleNamespace(root_device=torch.device("cpu"))
        )
        items = list(module.train_dataloader())
        drawn.append([index for item in items[:2] for index in item["unlabelled"]["index"].tolist()])
        seeds += [
            seed
            for item in items
            for part in ("labelled", "held_out")
            for seed in item[part]["seed"].tolist()
        ]
        validated += [tuple(chip) for batch in module.val_dataloader() for chip in batch["chip"].tolist()]
    assert not set(drawn[0]) & set(drawn[1])
    assert len(set(seeds)) == len(seeds)
    assert len(validated) == len(set(validated)) == 11


def test_partners_are_the_chips_of_the_stream(make_module):
    module = make_module()
    batch = next(iter(module.train_dataloader()))["unlabelled"]
    for position, index in enumerate(batch["index"].tolist()):
        partner = module.partner(index)
        assert torch.equal(partner["image"], batch["image"][position])
        assert torch.equal(partner["manual"], batch["manual"][position])
        assert partner["index"] == index


def test_validation_reads_every_chip_once(make_module):
    module = make_module()
    batches = list(module.val_dataloader())
    assert sum(len(batch["mask"]) for batch in batches) == 11


@pytest.mark.parametrize("edge", ["shift", "pad"])
def test_validation_counts_each_pixel_once_where_chips_overlap(make_scene, random_labels, edge):
    scene = make_scene(shape=(150, 200))
    labels = random_labels(scene)
    chips = scene_chips([scene], 64, edge)
    config = TrainConfig(num_workers=0, accelerator="cpu")
    reader = SceneReader([scene], None, False)
    module = TsfDataModule(reader, labels, chips[:1], val_labels=labels, val_chips=chips, config=config)
    masks = torch.cat([batch["mask"] for batch in module.val_dataloader()])
    once = torch.from_numpy(labels.arrays[0]).flatten().long()
    assert torch.equal(
        torch.bincount(masks.flatten().long(), minlength=256)[:255], torch.bincount(once, minlength=256)[:255]
    )


def test_no_labelled_chip_is_an_error(make_module, make_scene, random_labels):
    scene = make_scene("other")
    with pytest.raises(LabelError, match="no labelled chip"):
        TsfDataModule(SceneReader([scene], None, False), random_labels(scene), [], config=TrainConfig())


class Recorder(LightningModule):
    """Notes the steps it is given, and saves a checkpoint after four of them."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.automatic_optimization = False
        self.steps = []

    def configure_optimizers(self):
        return torch.optim.SGD([self.weight], lr=0.1)

    def training_step(self, batch):
        self.steps.append(batch["step"])
        optimiser = self.optimizers()
        optimiser.zero_grad()
        self.manual_backward((self.weight * batch["labelled"]["image"].float().mean()).sum())
        optimiser.step()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        if len(self.steps) == 4:
            self.trainer.save_checkpoint(self.path)


def test_lightning_goes_on_from_a_checkpoint_with_the_next_step(make_module, tmp_path):
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    quiet |= {"max_epochs": 1, "limit_val_batches": 0, "enable_checkpointing": False}
    full, rest = Recorder(tmp_path / "full.ckpt"), Recorder(tmp_path / "rest.ckpt")
    Trainer(**quiet).fit(full, datamodule=make_module())
    Trainer(**quiet).fit(rest, datamodule=make_module(workers=2), ckpt_path=full.path, weights_only=True)
    assert full.steps == list(range(9))
    assert rest.steps == [4, 5, 6, 7, 8]


def test_seeds_stay_on_the_cpu(make_module):
    module = make_module()
    moved = module.transfer_batch_to_device(next(iter(module.train_dataloader())), torch.device("meta"), 0)
    assert moved["labelled"]["image"].device.type == "meta"
    assert moved["labelled"]["seed"].device.type == moved["held_out"]["seed"].device.type == "cpu"
