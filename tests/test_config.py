import importlib.util
import itertools
from pathlib import Path

import pytest
import yaml

from tsfal_geo.config import Config, PlarConfig, TrainConfig, TsfConfig, load_config, parse_set
from tsfal_geo.errors import ConfigError

ROOT = Path(__file__).parents[1]


def test_presets_fill_only_what_is_not_given():
    paper = load_config(None, {"preset": "paper", "tsf.absent_as_zero": False})
    assert (paper.tsf.cps_view, paper.tsf.absent_as_zero, paper.active.ranking) == ("mixed", False, "paper")
    assert (paper.plar.covariance, paper.active.granularity) == ("per_class_lw", "pixels")
    strong = load_config(None)
    assert (strong.tsf.cps_view, strong.emd.manual_pixels, strong.plar.unresolved) == (
        "unmixed",
        True,
        "conf",
    )
    assert (strong.plar.covariance, strong.active.granularity) == ("pooled_lw", "regions")


@pytest.mark.parametrize("section", [TrainConfig(steps=10), {"steps": 10}], ids=["instance", "mapping"])
@pytest.mark.parametrize("preset", ["paper", "strong"])
def test_sections_are_instances_or_mappings_and_the_preset_fills_in_the_rest(preset, section):
    expected = load_config(None, {"preset": preset, "train.steps": 10})
    assert Config(preset=preset, train=section) == expected
    assert load_config(None, {"preset": preset, "train": section}) == expected
    assert load_config(None, {"train": section}, base=load_config(None, {"preset": preset})) == expected


def test_an_instance_of_a_section_has_the_preset_s_values_and_its_own():
    config = Config(preset="paper", tsf=TsfConfig(align=True), plar=PlarConfig(purity=0.5))
    assert (config.tsf.align, config.tsf.cps_view, config.tsf.ramp) == (True, "mixed", 0.0)
    assert (config.plar.purity, config.plar.covariance, config.plar.unresolved) == (
        0.5,
        "per_class_lw",
        "keep",
    )
    assert Config(preset="paper", plar=config.plar, tsf=config.tsf) == config


def test_a_section_among_the_overrides_leaves_the_other_keys_of_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("train: {seed: 3, steps: 5, optimiser: sgd}")
    config = load_config(path, {"train": TrainConfig(steps=10)})
    assert (config.train.seed, config.train.steps, config.train.lr) == (3, 10, 0.001)
    assert rates(load_config(path, {"train": {"optimiser": "adamw"}})) == rates(Config())


def test_changing_the_preset_of_a_stored_configuration_changes_its_keys():
    stored = load_config(None, {"train.steps": 7})
    assert load_config(None, {"preset": "paper"}, base=stored).tsf.cps_view == "mixed"
    assert load_config(None, {"preset": "paper"}, base=stored).train.steps == 7


def test_changing_the_preset_of_a_file_leaves_what_the_file_chose():
    change = {"preset": "strong", "train.optimiser": "sgd"}
    changed = load_config(ROOT / "configs/al_image_level.yaml", change)
    assert (changed.active.granularity, changed.active.ranking) == ("chips", "strong")
    stored = load_config(None, {"active.granularity": "chips", "tsf.ramp": 0.25})
    paper = load_config(None, {"preset": "paper"}, base=stored)
    assert (paper.active.granularity, paper.tsf.ramp, paper.tsf.cps_view) == ("chips", 0.25, "mixed")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_one(path):
    written = yaml.safe_load(path.read_text())
    chosen = load_config(path).model_dump(mode="json")
    for section, keys in written.items():
        if isinstance(keys, dict):
            assert chosen[section] | keys == chosen[section]


def rates(config):
    return config.train.optimiser, config.train.lr, config.train.head_lr_mult, config.train.weight_decay


@pytest.mark.parametrize("change", [{"train.optimiser": "sgd"}, {"preset": "paper"}])
def test_an_optimiser_comes_with_its_own_rates_also_over_a_stored_configuration(change):
    stored = load_config(None, {"train.lr": 0.002})
    assert rates(stored) == ("adamw", 0.002, 4.0, 0.01)
    assert rates(load_config(None, change, base=stored)) == ("sgd", 0.001, 10.0, 1e-4)
    assert rates(load_config(None, {**change, "train.lr": 0.02}, base=stored))[1] == 0.02
    assert rates(load_config(None, {"train.optimiser": "adamw"}, base=stored)) == rates(stored)


def test_a_rate_for_another_optimiser_is_named():
    with pytest.raises(ConfigError, match=r"train\.lr is 0\.02: adamw expects about .*train\.optimiser=sgd"):
        load_config(None, {"train.lr": 0.02})


def test_yaml_round_trip(tmp_path):
    config = load_config(None, {"data.bands": [4, 1], "train.seed": 3})
    path = tmp_path / "c.yaml"
    path.write_text(config.to_yaml())
    assert load_config(path) == config


def test_every_shipped_configuration_is_valid():
    files = sorted((ROOT / "configs").glob("*.yaml"))
    assert files
    for path in files:
        assert isinstance(load_config(path), Config)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"train.stepz": 1}, "train.stepz"),
        ({"train.steps": 0}, "train.steps"),
        ({"data.chip_size": 100}, "multiple of 32"),
        ({"preset": "weak"}, "preset"),
        ({"train.steps.more": 1}, "train.steps"),
        ({"train": 3}, "train is 3: expected keys with values"),
        ({"classes": 3}, r"classes is 3: expected a list of classes, each such as \{id: 0"),
        ({"classes": ["road"]}, r"classes\.0 is 'road': expected a list of classes"),
        (
            {"classes": [{"id": 0, "name": "road"}]},
            r"classes\.0\.colour is missing: expected a list of classes",
        ),
        ({"model.atrous_rates": 3}, "model.atrous_rates is 3: expected a list"),
    ],
)
def test_what_is_wrong_is_named(overrides, words):
    with pytest.raises(ConfigError, match=words):
        load_config(None, overrides)


def test_null_is_a_value():
    assert load_config(None).model.weights == "bundled"
    assert load_config(None, parse_set(("model.weights=null",))).model.weights is None


def test_set_items_are_yaml():
    assert parse_set(("a.b=[1, 2]", "c=true")) == {"a.b": [1, 2], "c": True}
    with pytest.raises(ConfigError, match="key=value"):
        parse_set(("nonsense",))
    with pytest.raises(ConfigError, match="key=value"):
        parse_set(("=3",))
    with pytest.raises(ConfigError, match=r"--set train\.lr=\[: .* not readable as YAML"):
        parse_set(("train.lr=[",))


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yaml: not readable as text"):
        load_config(path)


def config_docs():
    spec = importlib.util.spec_from_file_location("config_docs", ROOT / "scripts" / "config_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_documentation_of_the_keys_is_current():
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == config_docs().render()


def test_every_key_has_a_meaning_and_values_in_words_for_people():
    page = config_docs().render().partition("\n## presets")[0]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    keys = [row for row in rows if len(row) == 4]
    assert len(keys) > 90
    for key, _default, values, meaning in keys:
        assert len(meaning.strip(" |")) > 5 and meaning.strip() != "None |", key
        assert not any(
            word in values for word in ("Literal", "Optional", "Union", "tuple", "None", "<class")
        ), key


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: TrainConfig(steps=0), "TrainConfig: steps is 0: "),
        (lambda: Config(train={"steps": 0}), "Config: train.steps is 0: "),
        (lambda: Config(active={"budgets": 1}), "Config: unknown key 'active.budgets'; "),
        (lambda: Config(classes=[{"id": 0}]), "Config: classes.0.name is missing: expected a list"),
        (lambda: TrainConfig(optimiser="adamw", lr=0.5), "TrainConfig: lr is 0.5: adamw expects"),
    ],
)
def test_a_section_made_in_python_with_a_wrong_value_is_a_users_mistake(make, expected):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def _numbers(model, prefix=""):
    for name, info in model.model_fields.items():
        section = info.annotation
        if hasattr(section, "model_fields"):
            yield from _numbers(section, f"{name}.")
        elif section in (int, float, int | None, float | None):
            yield f"{prefix}{name}"


@pytest.mark.parametrize("key", sorted(_numbers(Config)))
def test_no_number_may_be_without_meaning(key):
    for value in (float("nan"), float("inf"), -float("inf"), -1):
        with pytest.raises(ConfigError) as error:
            load_config(None, {key: value})
        assert key in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["2020-13-45", "!!int x", "!!float x", "[" * 3000])
def test_each_value_that_yaml_cannot_make_is_one_short_line(value, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(f"train: {{lr: {value}}}")
    for read in (lambda: load_config(path), lambda: parse_set((f"train.lr={value}",))):
        with pytest.raises(ConfigError, match="not readable as YAML") as raised:
            read()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["train", "train.lr", "classes"])
def test_a_bomb_of_aliases_is_one_short_line(key, tmp_path):
    names = "abcdefgh"
    lines = ["a: &a [1,1,1,1,1,1,1,1,1]"]
    lines += [f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(names)]
    path = tmp_path / "c.yaml"
    section, _, inner = key.partition(".")
    path.write_text("\n".join([*lines, f"{section}: {{{inner}: *h}}" if inner else f"{section}: *h"]))
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    assert len(str(raised.value)) < 600
