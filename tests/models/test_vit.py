import copy

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from tests.helpers.segmenter_tester import CLASSES
from tsfal_geo.config import ModelConfig
from tsfal_geo.errors import ConfigError, WeightsError
from tsfal_geo.models.ema import EmaTeacher
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.models.vit import ViTEncoder, is_vision_transformer
from tsfal_geo.models.weights import load_encoder_weights

TINY = "tu-test_vit"
DINO_V2 = "tu-vit_small_patch14_dinov2"
DINO_V3 = "tu-vit_tiny_patch16_dinov3_qkvb"


@pytest.fixture(scope="module")
def placeless():
    """A network in double precision that does not depend on the place of a patch."""
    torch.set_num_threads(1)
    cfg = ModelConfig(encoder=TINY, weights=None)
    network = build_segmenter(cfg, 3, CLASSES, seed=0).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        network.encoder.net.pos_embed.zero_()
        network.head.classifier.weight.normal_(generator=generator)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network(images(64, 96))
    return network.eval()


def images(height, width, count=2, bands=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, bands, height, width, generator=generator, dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("axis", [-2, -1])
def test_moving_the_image_by_32_pixels_moves_every_cell_by_as_much(placeless, axis):
    size = (768, 32) if axis == -2 else (32, 768)
    image = images(*size, count=1)
    still, moved = placeless(image, features=True), placeless(image.roll(32, axis), features=True)
    for tap, stride in (("f1", 16), ("f2", 4), ("logits", 4)):
        expected = getattr(still, tap).roll(32 // stride, axis)
        # Zeros beyond the border reach this far through the head's convolutions.
        inner = slice(320 // stride, 448 // stride)
        rows, columns = (inner, slice(None)) if axis == -2 else (slice(None), inner)
        found = getattr(moved, tap)[..., rows, columns]
        assert found.std() > 1e-3
        assert torch.allclose(found, expected[..., rows, columns], atol=1e-9), tap


@torch.no_grad()
@pytest.mark.parametrize("axis", [-2, -1])
def test_mirrored_image_gives_the_mirrored_map_where_filters_are_symmetric(placeless, axis):
    network = copy.deepcopy(placeless)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.copy_((module.weight + module.weight.flip(axis)) / 2)
    image = images(64, 96)
    still, mirrored = network(image, features=True), network(image.flip(axis), features=True)
    for tap in ("f1", "f2", "logits"):
        assert torch.allclose(getattr(mirrored, tap), getattr(still, tap).flip(axis), atol=1e-9), tap


@torch.no_grad()
@pytest.mark.parametrize("cell", [(0, 0), (1, 6), (5, 3)])
def test_a_changed_patch_changes_its_own_cell_of_f1_most(placeless, cell):
    row, column = cell
    image = images(96, 128, count=1)
    changed = image.clone()
    changed[..., 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] *= -1
    before, after = (placeless(x, features=True).f1 for x in (image, changed))
    change = (after - before).square().sum(1)[0]
    assert divmod(int(change.argmax()), change.shape[1]) == cell


def test_each_quarter_of_the_blocks_is_tapped_after_the_last_norm():
    encoder = ViTEncoder(TINY, 3).eval()
    outputs = []
    for block in encoder.net.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    maps = encoder(images(32, 64).float())
    tokens = [encoder.net.norm(outputs[i])[:, encoder.net.num_prefix_tokens :] for i in (0, 2, 3, 5)]
    for one, expected in zip(maps, tokens, strict=True):
        assert torch.equal(one, expected.mT.unflatten(2, (2, 4)))


def test_other_patches_are_resampled_to_16_pixels_and_positions_keep_their_grid():
    torch.manual_seed(3)
    library = timm.create_model(DINO_V2.removeprefix("tu-"), num_classes=0)
    nn.init.normal_(library.patch_embed.proj.bias)
    encoder = ViTEncoder(DINO_V2, 3)
    state = encoder.converted(library.state_dict())
    assert state.keys() == encoder.net.state_dict().keys()
    assert torch.equal(state["pos_embed"], library.pos_embed)
    encoder.net.load_state_dict(state)
    patch = torch.randn(4, 3, 14, 14)
    larger = nn.functional.interpolate(patch, 16, mode="bicubic", antialias=True)
    assert encoder.net.patch_embed.proj.kernel_size == (16, 16)
    expected = library.patch_embed.proj(patch)
    assert torch.allclose(encoder.net.patch_embed.proj(larger), expected, atol=1e-4)
    assert [tuple(one.shape) for one in encoder.eval()(torch.zeros(1, 3, 64, 32))] == [(1, 384, 4, 2)] * 4


def published_by_dino_v3(state):
    """A state of timm's network under the names that DINOv3's authors gave."""
    named = {}
    for key, value in state.items():
        key = key.replace("reg_token", "storage_tokens").replace("gamma_1", "ls1.gamma")
        named[key.replace("gamma_2", "ls2.gamma")] = value
    for i in range(12):
        query, values = (named.pop(f"blocks.{i}.attn.{part}_bias") for part in "qv")
        named[f"blocks.{i}.attn.qkv.bias"] = torch.cat([query, torch.zeros_like(query), values])
    return {**named, "mask_token": torch.zeros(1, 192), "rope_embed.periods": torch.zeros(16)}


@pytest.mark.parametrize(
    ("name", "publish"),
    [
        (TINY, lambda state: state),
        (TINY, lambda state: {f"module.backbone.{key}": value for key, value in state.items()}),
        (TINY, lambda state: {**state, "mask_token": torch.zeros(1, 64), "head.weight": torch.zeros(9, 64)}),
        (DINO_V3, published_by_dino_v3),
    ],
    ids=["timm", "prefixed", "DINOv2", "DINOv3"],
)
def test_files_are_read_under_the_names_that_their_authors_gave(tmp_path, name, publish):
    torch.manual_seed(0)
    source, target = ViTEncoder(name, 3).eval(), ViTEncoder(name, 3).eval()
    save_file(publish(source.net.state_dict()), tmp_path / "w.safetensors")
    load_encoder_weights(target, str(tmp_path / "w.safetensors"))
    image = images(32, 64).float()
    for found, expected in zip(target(image), source(image), strict=True):
        assert torch.equal(found, expected)


def test_a_masked_autoencoder_s_missing_norm_begins_as_the_identity(tmp_path):
    source, target = ViTEncoder(TINY, 3), ViTEncoder(TINY, 3)
    nn.init.normal_(source.net.norm.weight)
    state = {key: value for key, value in source.net.state_dict().items() if not key.startswith("norm.")}
    save_file(state, tmp_path / "w.safetensors")
    load_encoder_weights(target, str(tmp_path / "w.safetensors"))
    assert torch.equal(target.net.norm.weight, torch.ones(64))
    assert torch.equal(target.net.blocks[5].attn.qkv.weight, source.net.blocks[5].attn.qkv.weight)


def test_more_bands_keep_the_response_to_grey(tmp_path):
    source, target = ViTEncoder(TINY, 3), ViTEncoder(TINY, 5)
    save_file(source.net.state_dict(), tmp_path / "w.safetensors")
    load_encoder_weights(target, str(tmp_path / "w.safetensors"))
    grey = torch.randn(1, 1, 16, 16)
    ours, theirs = (e.net.patch_embed.proj(grey.expand(-1, e.in_channels, -1, -1)) for e in (target, source))
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("name", [TINY, DINO_V3])
def test_a_file_of_another_network_is_reported_in_one_line(tmp_path, name):
    convolutional = timm.create_model("test_resnet", num_classes=0)
    save_file(convolutional.state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"other\.safetensors: .*choose the encoder") as caught:
        load_encoder_weights(ViTEncoder(name, 3), str(tmp_path / "other.safetensors"))
    assert "\n" not in str(caught.value)


def test_depths_run_from_the_embeddings_to_the_last_norm():
    encoder = ViTEncoder(TINY, 3)
    names = {id(parameter): key for key, parameter in encoder.net.named_parameters()}
    depths = [{names[id(parameter)] for parameter in layer} for layer in encoder.by_depth()]
    assert {key for layer in depths for key in layer} == set(names.values())
    assert depths[0] == {"cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"}
    for i, layer in enumerate(depths[1:]):
        assert {key for key in layer if not key.startswith("norm.")} == {
            key for key in names.values() if key.startswith(f"blocks.{i}.")
        }
    assert {"norm.weight", "norm.bias"} <= depths[-1] and len(depths) == 7


@pytest.mark.parametrize("name", [TINY, DINO_V3])
def test_teacher_follows_on_images_of_any_size(name):
    torch.set_num_threads(1)
    cfg = ModelConfig(encoder=name, weights=None)
    student, other = (build_segmenter(cfg, 3, CLASSES, seed) for seed in (0, 1))
    student.to(memory_format=torch.channels_last)
    teacher = EmaTeacher(student, 0.5)
    with torch.no_grad():
        teacher(torch.zeros(1, 3, 96, 64))
        for _ in range(3):
            teacher.update(student)
        teacher.update(other)
    ours, one, two = (n.state_dict() for n in (teacher.model, student, other))
    key = "encoder.net.blocks.3.mlp.fc1.weight"
    assert torch.allclose(ours[key], (one[key] + two[key]) / 2)
    buffers = dict(student.named_buffers())
    for key, value in teacher.model.encoder.net.named_buffers():
        assert torch.equal(value, buffers[f"encoder.net.{key}"]), key


@pytest.mark.parametrize("name", [TINY, DINO_V3])
def test_half_precision_gives_nearly_the_same_classes(name):
    torch.set_num_threads(1)
    network = build_segmenter(ModelConfig(encoder=name, weights=None), 3, CLASSES, seed=0)
    nn.init.normal_(network.head.classifier.weight)
    network.to(memory_format=torch.channels_last)
    image = images(64, 64).float().contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network(image)
        full = network.eval()(image).logits
        with torch.autocast("cpu", torch.bfloat16):
            half = network(image).logits
    assert half.dtype == torch.bfloat16
    assert (half.argmax(1) == full.argmax(1)).double().mean() > 0.95


@pytest.mark.parametrize("name", [DINO_V2, DINO_V3, "tu-vit_large_patch16_dinov3.sat493m"])
def test_plain_vision_transformers_are_known_by_name(name):
    assert is_vision_transformer(name)


@pytest.mark.parametrize(
    "name", ["resnet50", "mit_b0", "tu-convnext_tiny", "tu-swin_tiny_patch4_window7_224"]
)
def test_other_encoders_are_none(name):
    assert not is_vision_transformer(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": TINY, "architecture": "deeplabv3plus"}, "needs dpt"),
        ({"encoder": "mobilenet_v2", "architecture": "dpt"}, "needs deeplabv3plus"),
        ({"encoder": TINY, "output_stride": 8}, r"model\.output_stride=8"),
        ({"encoder": TINY, "aux_head": True}, r"model\.aux_head=True"),
        ({"encoder": TINY, "decoder_convs": 1}, r"model\.decoder_convs=1"),
    ],
)
def test_what_a_head_lacks_is_reported_in_one_line(options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build_segmenter(ModelConfig(weights=None, **options), 3, CLASSES, seed=0)
    assert "\n" not in str(caught.value)
