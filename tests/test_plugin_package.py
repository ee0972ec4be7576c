"""The QGIS plugin as a zip, in a profile, and in the wheel."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from tsfal_geo import plugin
from tsfal_geo.cli.main import cli
from tsfal_geo.errors import UserError

HOME = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / plugin.NAME
    for name in plugin.files(plugin.source()):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(plugin.source() / name, copy / name)
    return copy


def change(folder, old, new):
    path = folder / "metadata.txt"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_plugin_breaks_no_rule_of_the_plugin_site():
    assert plugin.problems(plugin.source()) == []


def test_the_zip_holds_one_folder_with_the_plugin_and_nothing_else(folder, tmp_path):
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_bytes(b"")
    path = plugin.package(folder, tmp_path / "out")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert names == [f"tsfal_qgis/{name.as_posix()}" for name in plugin.files(folder)]
    assert {"tsfal_qgis/metadata.txt", "tsfal_qgis/LICENSE", "tsfal_qgis/__init__.py"} <= set(names)
    assert not any("pyc" in name for name in names)


def test_the_same_plugin_gives_the_same_bytes(folder, tmp_path):
    first = plugin.package(folder, tmp_path / "a")
    for path in folder.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    second = plugin.package(folder, tmp_path / "b")
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def lose(name):
    return lambda folder: (folder / name).unlink()


def add(name, data=b"x"):
    return lambda folder: (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose("LICENSE"), "LICENSE is missing"),
        (lose("__init__.py"), "__init__.py is missing"),
        (lose("metadata.txt"), "name is missing"),
        (lose("icon.svg"), "icon icon.svg is missing"),
        (lambda folder: change(folder, "tracker=", "x="), "tracker is missing"),
        (lambda folder: change(folder, "version=0.1.0", "version=9"), "version 9, expected"),
        (lambda folder: change(folder, "server=", "supportsQt6=True\nserver="), "supportsQt6"),
        (lambda folder: change(folder, "homepage=https", "homepage=http"), "homepage is no https"),
        (lambda folder: change(folder, "email=maintainers@", "email="), "email is no address"),
        (add("run.sh"), "run.sh is a program"),
        (add(".hidden"), ".hidden is hidden"),
        (add("größe.txt"), "ASCII"),
        (add("big.bin", bytes(26 * 2**20)), "MB, expected at most 25"),
        (add("new.py", b"match 1:\n    case _: pass\n"), "not Python 3.9"),
        (add("bad.py", b"def"), "bad.py:1"),
        (lambda folder: (folder / "link.txt").symlink_to("LICENSE"), "is a link"),
        (lambda folder: (folder / "plugin.py").chmod(0o755), "marked executable"),
    ],
)
def test_a_plugin_that_the_plugin_site_rejects_is_not_packaged(folder, tmp_path, spoil, message):
    spoil(folder)
    with pytest.raises(UserError, match=message):
        plugin.package(folder, tmp_path / "out")
    assert not list(tmp_path.glob("out/*.zip"))


def test_the_commands_package_and_install(tmp_path):
    run = CliRunner().invoke(cli, ["plugin", "package", "--out", str(tmp_path)], catch_exceptions=False)
    path = Path(run.stdout.strip())
    assert path.is_file()
    assert path.parent == tmp_path
    arguments = ["plugin", "install", "--profile", "ci", "--profiles-path", str(tmp_path)]
    run = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    target = tmp_path / "profiles" / "ci" / "python" / "plugins" / "tsfal_qgis"
    assert run.stdout.strip() == str(target)
    assert plugin.files(target) == plugin.files(plugin.source())


def test_an_older_plugin_is_replaced_entirely(folder, tmp_path):
    target = plugin.install(folder, tmp_path / "profile")
    (target / "gone.py").write_text("")
    assert plugin.install(folder, tmp_path / "profile") == target
    assert not (target / "gone.py").exists()
    assert [path.name for path in target.parent.iterdir()] == ["tsfal_qgis"]


def test_another_plugin_and_a_link_are_left_alone(folder, tmp_path):
    place = tmp_path / "profile" / "python" / "plugins" / "tsfal_qgis"
    place.mkdir(parents=True)
    (place / "mine.py").write_text("")
    with pytest.raises(UserError, match="is not this plugin"):
        plugin.install(folder, tmp_path / "profile")
    assert (place / "mine.py").exists()
    shutil.rmtree(place)
    place.symlink_to(folder)
    with pytest.raises(UserError, match="is a link"):
        plugin.install(folder, tmp_path / "profile")


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
def test_the_profiles_of_every_qgis_are_found(tmp_path):
    with pytest.raises(UserError, match="start QGIS once"):
        plugin.profiles(None, None, {}, tmp_path)
    roots = [tmp_path / ".local/share/QGIS/QGIS3/profiles", tmp_path / ".local/share/QGIS/QGIS4/profiles"]
    for root in roots:
        (root / "default").mkdir(parents=True)
    (roots[0] / "work").mkdir()
    assert plugin.profiles(None, None, {}, tmp_path) == [root / "default" for root in roots]
    assert plugin.profiles("work", None, {}, tmp_path) == [roots[0] / "work"]
    with pytest.raises(UserError, match="there are: default, work"):
        plugin.profiles("other", None, {}, tmp_path)
    with pytest.raises(UserError, match="not a path"):
        plugin.profiles("../x", None, {}, tmp_path)


def test_an_installed_wheel_brings_the_plugin_along(tmp_path):
    clone, installed = tmp_path / "clone", tmp_path / "installed"
    leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("tsfal_geo", "qgis_plugin/tsfal_qgis"):
        shutil.copytree(HOME / name, clone / name, ignore=leave)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(HOME / name, clone / name)
    build = f"from setuptools import build_meta; print(build_meta.build_wheel({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=clone, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    run = [sys.executable, "-c", "from tsfal_geo.cli.main import main; main()", "plugin", "package"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        run, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.strip()) as archive:
        assert "tsfal_qgis/metadata.txt" in archive.namelist()
    assert plugin.package(plugin.source(), tmp_path / "a").read_bytes() == (
        (tmp_path / done.stdout.strip()).read_bytes()
    )
