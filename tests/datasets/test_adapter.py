import json
import os

import pytest
from click.testing import CliRunner

from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.cli import datasets as cli
from tsfal_geo.config import load_config
from tsfal_geo.datasets import registry
from tsfal_geo.datasets.adapter import (
    Adapter,
    Option,
    Prepared,
    link_file,
    new_folder,
    open_prepared,
    write_config,
)
from tsfal_geo.errors import ConfigError, UserError

CLASSES = ClassMap(
    (ClassInfo(0, "road", (9, 9, 9)), ClassInfo(7, "façade", (1, 2, 3))), ignore_colours=((0, 0, 0),)
)


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    out = tmp_path / "deep" / "out"
    with pytest.raises(ZeroDivisionError), new_folder(out) as draft:
        (draft / "half").touch()
        raise ZeroDivisionError
    assert not out.exists()
    with new_folder(out) as draft:
        (draft / "train").mkdir()
        assert not out.exists()
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert (out / "train").is_dir()
    with pytest.raises(UserError, match="exists already"), new_folder(out):
        pass


def test_an_empty_folder_may_be_there(tmp_path):
    with new_folder(tmp_path) as draft:
        (draft / "a").touch()
    assert (tmp_path / "a").exists()


def test_files_are_linked_not_copied_and_the_link_outlives_a_move(tmp_path, monkeypatch):
    (tmp_path / "a.tif").write_bytes(b"a")
    monkeypatch.chdir(tmp_path)
    link_file(tmp_path.__class__("a.tif"), tmp_path / "x" / "images" / "b.tif")
    (tmp_path / "x").rename(tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "images" / "b.tif"
    assert moved.is_symlink() and moved.read_bytes() == b"a"


def test_where_links_cannot_be_made_files_are_copied(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError("no links here")

    monkeypatch.setattr(os, "symlink", refuse)
    (tmp_path / "a.tif").write_bytes(b"a")
    link_file(tmp_path / "a.tif", tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").is_symlink() and (tmp_path / "b.tif").read_bytes() == b"a"


def test_the_configuration_gives_the_class_map_back(tmp_path):
    write_config(tmp_path, CLASSES, {"data": {"chip_size": 96}, "augment": {"rotate90": False}})
    config = load_config(tmp_path / "dataset.yaml")
    assert ClassMap.from_specs(config.classes).classes == CLASSES.classes
    assert config.ignore_colours == CLASSES.ignore_colours
    assert (config.data.chip_size, config.augment.rotate90) == (96, False)
    assert "preset" not in (tmp_path / "dataset.yaml").read_text()
    with pytest.raises(ConfigError, match="chips"):
        write_config(tmp_path, CLASSES, {"data": {"chips": 96}})


def test_a_prepared_folder_is_found_again(tmp_path):
    with pytest.raises(UserError, match="no prepared dataset"):
        open_prepared(tmp_path)
    write_config(tmp_path, CLASSES, {})
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    found = open_prepared(tmp_path)
    assert found.splits == {"train": tmp_path / "train", "test": tmp_path / "test"}
    assert found.config == tmp_path / "dataset.yaml"


def test_the_options_of_an_adapter_are_those_of_its_command(tmp_path, monkeypatch):
    given = {}

    def prepare(source, out, progress, **options):
        progress(0.5, "half")
        given.update(options)
        with new_folder(out) as draft:
            write_config(draft, CLASSES, {})
        return Prepared({}, out / "dataset.yaml", ("a note",))

    options = (
        Option("eroded", False, "A flag."),
        Option("height", "none", "A choice.", ("none", "dsm")),
        Option("chip_size", 512, "A number."),
    )
    adapter = Adapter("toy", "A toy", "from nowhere", prepare, lambda out, seed: None, options)
    monkeypatch.setitem(registry.DATASETS, "toy", adapter)
    run = CliRunner().invoke
    command = ["prepare", "toy", str(tmp_path), "--out"]
    done = run(cli.command, [*command, str(tmp_path / "a"), "--height", "dsm", "--chip-size", "64", "--json"])
    assert done.exit_code == 0, done.output
    assert given == {"eroded": False, "height": "dsm", "chip_size": 64}
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "result" and events[-1]["config"] == str(tmp_path / "a" / "dataset.yaml")
    assert {"event": "log", "message": "a note"}.items() <= events[-3].items()
    run(cli.command, [*command, str(tmp_path / "b"), "--eroded"])
    assert given == {"eroded": True, "height": "none", "chip_size": 512}
    assert run(cli.command, [*command, str(tmp_path / "c"), "--height", "ndsm"]).exit_code == 2
    assert "from nowhere" in run(cli.command, ["list"]).output
    assert run(cli.command, ["prepare", "unheard-of"]).exit_code == 2
