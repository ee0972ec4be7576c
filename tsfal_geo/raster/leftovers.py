"""Entries of a folder that are not read, each with the reason and the mend."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from tsfal_geo.raster import naming

_SIDECARS = frozenset(
    [
        ".aux",
        ".aux.xml",
        ".ovr",
        ".msk",
        ".prj",
        ".wld",
        ".qml",
        ".qmd",
        ".tab",
        ".imd",
        ".rpb",
        ".xml",
        ".vat.dbf",
    ]
)
_RASTERS = frozenset(
    [
        ".img",
        ".ecw",
        ".sid",
        ".j2k",
        ".jpx",
        ".jpf",
        ".bil",
        ".bip",
        ".bsq",
        ".dat",
        ".nc",
        ".hdf",
        ".h5",
        ".he5",
        ".grd",
        ".asc",
        ".dem",
        ".gif",
        ".webp",
        ".ntf",
        ".nitf",
        ".mrf",
        ".xyz",
        ".zarr",
        ".adf",
        ".jxl",
        ".heic",
    ]
)
_VECTORS = frozenset(
    [
        ".gpkg",
        ".shp",
        ".geojson",
        ".kml",
        ".kmz",
        ".gml",
        ".fgb",
        ".parquet",
        ".gdb",
        ".dxf",
        ".sqlite",
    ]
)
_ARCHIVES = frozenset([".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"])
_LABEL_LIKE = naming.LABEL_WORDS | {"annotations", "ground_truth", "classes", "targets"}


_OTHER_SETS = ("val", "validation", "test")


@dataclass(frozen=True)
class Leftovers:
    """Entries that are not read.

    Attributes:
        warnings: one line for each kind of entry that may have been meant to be read.
        others: names of all other entries.
    """

    warnings: tuple[str, ...]
    others: tuple[str, ...]


def find_leftovers(folder: Path, homes: Collection[Path], used: Collection[Path]) -> Leftovers:
    """Account for the entries of a folder, and of those below it that are read.

    Args:
        folder: the folder of the scenes.
        homes: folders that are read, such as ``images/``; the folder itself may be one.
        used: files that are read, or that an earlier line explains.

    Returns:
        The entries that are not read.
    """
    kinds: dict[tuple[str, str], list[Path]] = {}
    others = []
    stems = {(path.parent, path.stem.lower()) for path in used}
    names = {(path.parent, path.name.lower()) for path in used}
    taken = {str(path) for path in (*used, *homes)}
    for home in dict.fromkeys([folder, *sorted(homes)]):
        for entry in _entries(home, taken):
            if _is_sidecar(entry, stems, names):
                continue
            mend = _mend(folder, entry)
            if mend is None:
                others.append(str(entry.relative_to(folder)))
            else:
                kinds.setdefault((str(home), mend), []).append(entry)
    lines = [_line(entries, mend) for (_, mend), entries in kinds.items()]
    return Leftovers(tuple(lines), tuple(others))


def _entries(home: Path, taken: Collection[str]) -> list[Path]:
    """The entries of a folder that are not hidden and not taken, by name."""
    with os.scandir(home) as found:
        left = [e.path for e in found if not e.name.startswith(".") and e.path not in taken]
    return [Path(path) for path in sorted(left)]


def _is_sidecar(
    entry: Path, stems: Collection[tuple[Path, str]], names: Collection[tuple[Path, str]]
) -> bool:
    """Tell whether GDAL or QGIS keeps something about a file that is read in this one."""
    name, parent = entry.name.lower(), entry.parent
    endings = {ending for ending in _SIDECARS if name.endswith(ending)}
    if any(
        (parent, name.removesuffix(end)) in names or (parent, name.removesuffix(end)) in stems
        for end in endings
    ):
        return True
    world = name.endswith("w") and len(entry.suffix) in (4, 5)
    return world and (parent, entry.stem.lower()) in stems


def _mend(folder: Path, entry: Path) -> str | None:
    """The reason and the mend in words, the same for entries of one kind; None for entries of no concern."""
    if entry.is_symlink() and not entry.exists():
        return "is a link that leads nowhere; link it anew, or remove it"
    suffix = entry.suffix.lower()
    if suffix in _VECTORS or (suffix == ".json" and entry.parent.name.lower() in naming.LABEL_FOLDERS):
        return "is a vector file; labels are read by `tsfal-geo labels import FILE --workspace DIR`"
    if entry.is_dir() and suffix not in _RASTERS:
        return _folder_mend(folder, entry)
    if suffix in _RASTERS:
        return (
            "is of a format that is not read; convert it with "
            f"`gdal_translate -co TILED=YES -co COMPRESS=DEFLATE in{suffix} out.tif`"
        )
    if suffix in _ARCHIVES:
        return "is an archive; unpack it"
    if suffix in naming.LABEL_SUFFIXES:
        return (
            "is a picture, but neither an orthophoto nor the file of one here; move it, or name it after one"
        )
    return None


def _folder_mend(folder: Path, entry: Path) -> str | None:
    # Validation and test scenes lie in a folder of their own below the training scenes.
    if (entry / "workspace.json").exists() or entry.name.lower() in _OTHER_SETS:
        return None
    rasters = _rasters_below(entry)
    if not rasters:
        return None
    if entry.name.lower() in _LABEL_LIKE:
        return f"is a folder of {rasters} rasters that is not read; if they are labels, name it labels/"
    return (
        f"is a folder of {rasters} rasters that is not read; move them into {folder.name}/, or give it as "
        "the folder "
        "of scenes"
    )


def _rasters_below(entry: Path) -> int:
    """Count the rasters in a folder and in the folders just below it."""
    suffixes: Iterable[str] = {*naming.LABEL_SUFFIXES, *_RASTERS}
    count = 0
    for top, below, files in os.walk(entry):
        count += sum(Path(name).suffix.lower() in suffixes for name in files)
        if Path(top) != entry:
            below.clear()
    return count


def _line(entries: list[Path], mend: str) -> str:
    shown = ", ".join(path.name for path in entries[:5]) + (" …" if entries[5:] else "")
    more = f" ({len(entries)} such: {shown})" if entries[1:] else ""
    return f"{entries[0]}{more} {mend}"
