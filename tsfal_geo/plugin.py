"""The QGIS plugin: packed as a zip for QGIS and plugins.qgis.org, and installed into a QGIS profile."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tsfal_geo.atomic import replace_file
from tsfal_geo.errors import UserError
from tsfal_geo.versions import __version__

NAME = "tsfal_qgis"
_OLDEST_PYTHON = (3, 9)
_MAX_BYTES = 25 * 2**20
_REQUIRED = [
    "name",
    "description",
    "about",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "tracker",
    "repository",
]
_LINKS = ("homepage", "tracker", "repository")
_PROGRAMS = {".sh", ".bat", ".cmd", ".ps1", ".exe", ".so", ".dll", ".dylib", ".pyd", ".com", ".msi"}
_EPOCH = (1980, 1, 1, 0, 0, 0)


def source() -> Path:
    """Find the plugin's folder: in the clone, else in the installed package.

    Returns:
        The folder.

    Raises:
        UserError: the installation has no plugin.
    """
    package = Path(__file__).parent
    for folder in (package.parent / "qgis_plugin" / NAME, package / "qgis_plugin" / NAME):
        if (folder / "metadata.txt").is_file():
            return folder
    raise UserError(f"{package}: the QGIS plugin is missing there; install tsfal-geo anew")


def files(folder: Path) -> list[Path]:
    """List the files of the plugin, without caches.

    Args:
        folder: the plugin's folder.

    Returns:
        Sorted paths relative to the folder.
    """
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        (path for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc"),
        key=lambda path: path.as_posix(),
    )


def problems(folder: Path) -> list[str]:
    """Check a plugin by the rules of plugins.qgis.org.

    Args:
        folder: the plugin's folder.

    Returns:
        One line for each rule that the plugin breaks.
    """
    names = files(folder)
    found = [f"{name} is missing" for name in ("__init__.py", "LICENSE") if Path(name) not in names]
    if not folder.name.isidentifier():
        found.append(f"the folder's name {folder.name} is no Python identifier")
    total = sum((folder / name).stat().st_size for name in names)
    if total > _MAX_BYTES:
        found.append(f"{total / 2**20:.1f} MB, expected at most {_MAX_BYTES >> 20}")
    for name in names:
        found += _file_problems(folder, name)
    return [*found, *_metadata_problems(folder)]


def placeholders(folder: Path) -> list[str]:
    """List the links of the metadata that lead to reserved domains; plugins.qgis.org opens each at upload.

    Args:
        folder: the plugin's folder.

    Returns:
        Keys of the metadata.
    """
    values = metadata(folder)
    return [key for key in _LINKS if re.search(r"\.(example|invalid|test)(/|$)", values.get(key, ""))]


def metadata(folder: Path) -> Mapping[str, str]:
    """Read the section ``general`` of ``metadata.txt``.

    Args:
        folder: the plugin's folder.

    Returns:
        Key → value; empty if the file cannot be read.
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read(folder / "metadata.txt", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return dict(parser["general"]) if "general" in parser else {}


def package(folder: Path, out: Path) -> Path:
    """Write ``<name>-<version>.zip``, with the same bytes for the same plugin.

    Args:
        folder: the plugin's folder.
        out: folder for the zip.

    Returns:
        The zip.

    Raises:
        UserError: the plugin breaks a rule of plugins.qgis.org.
    """
    broken = problems(folder)
    if broken:
        raise UserError(f"{folder}: not fit for plugins.qgis.org: {'; '.join(broken)}")
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{folder.name}-{metadata(folder)['version']}.zip"
    with replace_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in files(folder):
            entry = zipfile.ZipInfo(f"{folder.name}/{name.as_posix()}", _EPOCH)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, (folder / name).read_bytes(), compresslevel=9)
    return target


def profiles(
    name: str | None, profiles_path: Path | None, environ: Mapping[str, str], home: Path
) -> list[Path]:
    """Find the folders of a QGIS profile, one for each QGIS (3, 4, Flatpak) that has it.

    Args:
        name: of the profile; None for ``default``.
        profiles_path: value of QGIS's option of this name; the profile need not exist there.
        environ: environment variables.
        home: the user's home folder.

    Returns:
        The folders.

    Raises:
        UserError: no QGIS of this user has such a profile.
    """
    wanted = name or "default"
    if Path(wanted).name != wanted:
        raise UserError(f"--profile {wanted}: expected a name, not a path; a path goes into --profiles-path")
    if profiles_path is not None:
        return [profiles_path / "profiles" / wanted]
    roots = [root for root in _roots(environ, home) if root.is_dir()]
    if not roots:
        raise UserError("found no QGIS profile of yours; start QGIS once, or give --profiles-path DIR")
    found = [root / wanted for root in roots if (root / wanted).is_dir()]
    if not found:
        existing = sorted({path.name for root in roots for path in root.iterdir() if path.is_dir()})
        raise UserError(
            f"--profile {wanted}: no such QGIS profile; there are: {', '.join(existing) or 'none'}"
        )
    return found


def install(folder: Path, profile: Path) -> Path:
    """Install the plugin into a profile, complete or not at all; an older version is replaced.

    Args:
        folder: the plugin's folder.
        profile: folder of the profile.

    Returns:
        The installed folder.

    Raises:
        UserError: a link or another plugin has its place.
    """
    target = profile / "python" / "plugins" / folder.name
    if target.is_symlink():
        raise UserError(f"{target}: is a link to {target.resolve()}; remove it to install a copy there")
    if target.exists() and metadata(target).get("name") != metadata(folder)["name"]:
        raise UserError(f"{target}: is not this plugin; move it away first")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tsfal-", dir=target.parent) as scratch:
        fresh, old = Path(scratch, "new"), Path(scratch, "old")
        for name in files(folder):
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, fresh / name)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    return target


def _roots(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    if sys.platform == "win32":
        bases = [Path(environ.get("APPDATA", home / "AppData" / "Roaming"))]
    elif sys.platform == "darwin":
        bases = [home / "Library" / "Application Support"]
    else:
        bases = [
            Path(environ.get("XDG_DATA_HOME", home / ".local" / "share")),
            home / ".var" / "app" / "org.qgis.qgis" / "data",
        ]
    for base in bases:
        for version in ("QGIS3", "QGIS4"):
            yield base / "QGIS" / version / "profiles"


def _file_problems(folder: Path, name: Path) -> Iterator[str]:
    shown = name.as_posix()
    path = folder / name
    if path.is_symlink():
        yield f"{shown} is a link"
    if any(part.startswith(".") or part == "__MACOSX" for part in name.parts):
        yield f"{shown} is hidden"
    if not shown.isascii() or "\\" in shown:
        yield f"{shown}: a name of ASCII letters was expected"
    if name.suffix.lower() in _PROGRAMS:
        yield f"{shown} is a program"
    if os.access(path, os.X_OK) and sys.platform != "win32":
        yield f"{shown} is marked executable"
    if name.suffix == ".py":
        try:
            ast.parse(path.read_bytes(), shown, feature_version=_OLDEST_PYTHON)
        except SyntaxError as error:
            yield f"{shown}:{error.lineno}: not Python 3.9 ({error.msg})"


def _metadata_problems(folder: Path) -> Iterator[str]:
    values = metadata(folder)
    for key in _REQUIRED:
        if not values.get(key, "").strip():
            yield f"metadata.txt: {key} is missing"
    if "supportsQt6" in values:
        yield "metadata.txt: supportsQt6 is obsolete; qgisMaximumVersion says it"
    if values.get("version", __version__) != __version__:
        yield f"metadata.txt: version {values['version']}, expected {__version__}"
    for key in _LINKS:
        if values.get(key) and not values[key].startswith("https://"):
            yield f"metadata.txt: {key} is no https link"
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", values.get("email", "a@b.c")):
        yield "metadata.txt: email is no address"
    icon = values.get("icon")
    if icon and not (folder / icon).is_file():
        yield f"metadata.txt: the icon {icon} is missing"
