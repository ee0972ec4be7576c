"""The tester of every encoder: a test class inherits it and names its encoder."""

import copy
from typing import ClassVar

import pytest
import torch

from tsfal_geo.config import ClassSpec, ModelConfig
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.io import ModelCard, load_model, save_model
from tsfal_geo.models.segmenter import FEATURES, Segmenter, build_segmenter, upsample_to

CLASSES = 5


def card_of(segmenter: Segmenter, in_channels: int) -> ModelCard:
    return ModelCard(
        model=segmenter.cfg,
        in_channels=in_channels,
        classes=tuple(ClassSpec(id=i, name=f"class {i}", colour=(i, i, i)) for i in range(segmenter.classes)),
        normalisation={"mean": [0.0] * in_channels},
        bands=None,
        dsm=False,
        chip_size=64,
        seed=0,
    )


class SegmenterTester:
    """The contract of an encoder's network; the inputs are small, the networks have their full size."""

    encoder = ""
    options: ClassVar[dict] = {}
    stride = 16
    bands = 4

    @pytest.fixture(scope="class")
    def network(self):
        torch.set_num_threads(1)
        cfg = ModelConfig(encoder=self.encoder, weights=None, output_stride=self.stride, **self.options)
        network = build_segmenter(cfg, self.bands, CLASSES, seed=0)
        # Statistics of one batch, or a random deep network's activations overflow in eval mode.
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = 1.0
            network(self.images(96, 96))
        return network.eval()

    def images(self, height, width, count=2):
        return torch.randn(count, self.bands, height, width, generator=torch.Generator().manual_seed(1))

    @torch.no_grad()
    def test_shapes_and_error_mask_input(self, network):
        out = network(self.images(96, 64), features=True)
        assert out.logits.shape == (2, CLASSES, 24, 16)
        assert out.f1.shape == (2, FEATURES, 96 // self.stride, 64 // self.stride)
        assert out.f2.shape == (2, FEATURES, 24, 16)
        stacked = torch.cat([upsample_to(out.f1, out.f2.shape[-2:]), out.f2, out.logits.softmax(1)], dim=1)
        assert stacked.shape[1] == 512 + CLASSES
        decoder = ErrorMaskDecoder(CLASSES)
        assert decoder.first.in_channels == stacked.shape[1]
        assert decoder(out.f1, out.f2, out.logits.softmax(1)).shape == (2, 1, 24, 16)

    @torch.no_grad()
    def test_taps_are_after_relu_and_before_dropout(self, network):
        images = self.images(64, 64)
        out = network(images, features=True)
        assert (out.f1 >= 0).all() and (out.f2 >= 0).all()
        assert torch.equal(network.head.classifier(out.f2), out.logits)
        dropping = copy.deepcopy(network)
        for module in dropping.modules():
            if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
                module.train()
        assert torch.equal(dropping(images, features=True).f1, out.f1)
        assert not torch.equal(dropping(images).logits, out.logits)

    @torch.no_grad()
    def test_asking_for_features_changes_no_logits(self, network):
        images = self.images(64, 64)
        assert torch.equal(network(images).logits, network(images, features=True).logits)
        assert network(images).f1 is None and network(images).f2 is None

    @torch.no_grad()
    def test_odd_size_equals_padded_image(self, network):
        images = self.images(75, 89)
        out = network(images, features=True)
        assert out.logits.shape[-2:] == out.f2.shape[-2:] == (19, 23)
        height, width = (-(-size // self.stride) * self.stride for size in (75, 89))
        padded = torch.nn.functional.pad(images, (0, width - 89, 0, height - 75))
        assert torch.equal(out.logits, network(padded).logits[..., :19, :23])
        assert upsample_to(out.f1, out.f2.shape[-2:]).shape == out.f2.shape

    @torch.no_grad()
    def test_saved_and_loaded_gives_the_same_bits(self, network, tmp_path):
        save_model(tmp_path, network, card_of(network, self.bands))
        loaded, card = load_model(tmp_path)
        assert card == card_of(network, self.bands)
        images = self.images(64, 64)
        assert torch.equal(loaded(images).logits, network(images).logits)

    def test_gradients_reach_encoder_and_head(self, network):
        network = copy.deepcopy(network).train()
        network(self.images(64, 64)).logits.square().mean().backward()
        parameters = dict(network.named_parameters())
        unused = {name for name, p in parameters.items() if p.grad is None and ".aux." not in name}
        assert not unused
        groups = [*network.encoder.parameters(), *network.head.parameters()]
        assert {id(p) for p in groups} == {id(p) for p in parameters.values()}
