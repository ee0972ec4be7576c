"""Models travel as one file, whole and checked, and trainings start from them."""

import json
import zipfile

import pytest
import torch

from tsfal_geo.config import ClassSpec, ModelConfig
from tsfal_geo.errors import WeightsError
from tsfal_geo.models.archive import model_folder, pack_model, unpack_model
from tsfal_geo.models.io import ModelCard, load_model, save_model
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.models.start import build_network, structure_of

CONFIG = ModelConfig(encoder="mobilenet_v2", weights=None, separable=False, aux_head=True)
NAMES = ["water", "road", "field"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    classes = tuple(ClassSpec(id=n, name=name, colour=(n, n, n)) for n, name in enumerate(NAMES))
    card = ModelCard(
        model=CONFIG, in_channels=3, classes=classes, bands=None, dsm=False, chip_size=64, seed=0,
        normalisation={"low": [0] * 3, "high": [255] * 3, "mean": [127] * 3, "std": [74] * 3},
    )  # fmt: skip
    save_model(folder, build_segmenter(CONFIG, 3, 3, seed=5), card)
    return folder


@pytest.fixture
def archive(folder, tmp_path):
    pack_model(tmp_path / "m.zip", folder)
    return tmp_path / "m.zip"


def test_a_model_comes_back_bit_for_bit(folder, archive, tmp_path):
    assert unpack_model(archive, tmp_path / "there") == ["model.json", "model.safetensors"]
    for name in ("model.json", "model.safetensors"):
        assert (tmp_path / "there" / name).read_bytes() == (folder / name).read_bytes()
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"model.json", "model.safetensors"}
    with pytest.raises(WeightsError, match="found a model"):
        unpack_model(archive, tmp_path / "there")


@pytest.mark.parametrize("damage", ["text", "cut", "flipped", "no card", "twice", "other card"])
def test_a_damaged_archive_leaves_nothing(archive, tmp_path, damage):
    content = archive.read_bytes()
    with zipfile.ZipFile(archive) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    if damage == "text":
        archive.write_text("hello")
    elif damage == "cut":
        archive.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 3
        archive.write_bytes(
            content[:middle] + bytes(255 - b for b in content[middle : middle + 64]) + content[middle + 64 :]
        )
    else:
        if damage == "other card":
            card = json.loads(files["model.json"])
            card["classes"].pop()
            files["model.json"] = json.dumps(card).encode()
        with zipfile.ZipFile(archive, "w") as made:
            for name, data in files.items():
                if (damage, name) != ("no card", "model.json"):
                    made.writestr(name, data)
            if damage == "twice":
                with pytest.warns(UserWarning, match="Duplicate"):
                    made.writestr("model.json", files["model.json"])
    with pytest.raises(WeightsError, match=r"m\.zip|model"):
        unpack_model(archive, tmp_path / "there")
    assert not (tmp_path / "there").exists() or not list((tmp_path / "there").iterdir())


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/h2-evil.txt", "model/evil.txt", "evil.py"])
def test_other_entries_are_not_unpacked(archive, tmp_path, name):
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(name, "x")
    unpack_model(archive, tmp_path / "there")
    assert not [path for path in tmp_path.rglob("*evil*")]


def test_a_model_is_found_in_a_zip_a_folder_and_a_workspace(folder, archive, tmp_path):
    for number in (0, 1):
        (tmp_path / "ws" / "rounds" / f"00{number}").mkdir(parents=True)
    for name in ("model.json", "model.safetensors"):
        (tmp_path / "ws" / "rounds" / "001" / name).write_bytes((folder / name).read_bytes())
    for path in (folder, archive, tmp_path / "ws"):
        with model_folder(path) as found:
            assert (found / "model.json").read_bytes() == (folder / "model.json").read_bytes()
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(WeightsError, match="no model"), model_folder(missing):
            pass


def test_a_network_starts_with_all_weights_and_classes_by_name(folder, archive):
    start, _ = load_model(folder)
    settings = {key.removeprefix("model."): value for key, value in structure_of(archive).items()}
    assert settings["separable"] is False and "weights" not in settings
    config = ModelConfig(**settings, start=str(archive))
    network = build_network(config, 3, ["field", "forest", "water"], seed=9)
    own, given = network.state_dict(), start.state_dict()
    for key, value in given.items():
        if key.startswith(("head.classifier.", "head.aux.2.")):
            assert torch.equal(own[key][0], value[2]) and torch.equal(own[key][2], value[0])
        else:
            assert torch.equal(own[key], value)
    fresh = build_segmenter(config.model_copy(update={"start": None, "weights": None}), 3, 3, 9).state_dict()
    assert torch.equal(own["head.classifier.weight"][1], fresh["head.classifier.weight"][1])
    second = build_network(config, 3, NAMES, seed=10, with_head=False).state_dict()
    assert all(torch.equal(second[key], value) for key, value in given.items() if key.startswith("encoder."))
    assert not torch.equal(second["head.classifier.weight"], given["head.classifier.weight"])


@pytest.mark.parametrize(
    ("change", "channels", "told"),
    [({}, 4, "3 channels"), ({"aux_head": False}, 3, "--from"), ({"low_level_channels": 24}, 3, "--from")],
)
def test_a_model_of_another_structure_is_refused(folder, change, channels, told):
    config = CONFIG.model_copy(update={"start": str(folder), **change})
    with pytest.raises(WeightsError, match=told):
        build_network(config, channels, NAMES, seed=0)
