import pytest

from tsfal_qgis.engine.find_engine import engines_beside, executable_in, installed_engines


def make(path):
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "place",
    [
        ".venv",
        "tsfal-geo/.venv",
        ".local/share/uv/tools/tsfal-geo",
        ".local/share/pipx/venvs/tsfal-geo",
        "miniforge3/envs/maps",
    ],
)
def test_an_engine_is_found_in_the_usual_places(tmp_path, place):
    engine = make(executable_in(tmp_path / place, windows=False))
    assert installed_engines({"PATH": ""}, tmp_path, windows=False) == [engine]


def test_the_engine_on_path_is_first_and_listed_once(tmp_path):
    home = tmp_path / "home"
    other = make(executable_in(home / ".venv", windows=False))
    first = make(tmp_path / "bin" / "tsfal-geo")
    path = f"{first.parent}:{first.parent}:{other.parent}"
    assert installed_engines({"PATH": path}, home, windows=False) == [first, other]


def test_conda_lists_its_environments_in_a_file(tmp_path):
    engine = make(executable_in(tmp_path / "elsewhere", windows=False))
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"\nrelative\n{tmp_path / 'elsewhere'}\n")
    assert installed_engines({}, tmp_path, windows=False) == [engine]


def test_a_folder_of_path_that_is_relative_is_not_trusted(tmp_path, monkeypatch):
    make(tmp_path / "here" / "tsfal-geo")
    monkeypatch.chdir(tmp_path / "here")
    assert installed_engines({"PATH": ".::here"}, tmp_path, windows=False) == []


def test_what_cannot_be_run_is_no_engine(tmp_path):
    executable_in(tmp_path / ".venv", windows=False).parent.mkdir(parents=True)
    executable_in(tmp_path / ".venv", windows=False).write_text("")
    assert installed_engines({}, tmp_path, windows=False) == []


def test_windows_names(tmp_path):
    engine = make(tmp_path / "uv" / "tools" / "tsfal-geo" / "Scripts" / "tsfal-geo.exe")
    assert installed_engines({"APPDATA": str(tmp_path)}, tmp_path, windows=True) == [engine]


def test_an_environment_beside_the_data_is_offered_but_is_not_among_the_installed(tmp_path):
    data = tmp_path / "project" / "data"
    data.mkdir(parents=True)
    engine = make(executable_in(tmp_path / "project" / ".venv", windows=False))
    assert engines_beside([data], windows=False) == [engine]
    assert installed_engines({}, data, windows=False) == []
