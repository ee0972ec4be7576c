"""Discovery of the scenes of a folder, and of the problems of its files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tsfal_geo.errors import RasterError, UserError
from tsfal_geo.raster import naming
from tsfal_geo.raster.files import FileHandles
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.leftovers import find_leftovers
from tsfal_geo.raster.scene import Scene, crs_named
from tsfal_geo.raster.vrt import local_sources


@dataclass
class Survey:
    """Everything that a folder holds.

    Attributes:
        folder: the folder.
        scenes: usable scenes, sorted by name.
        problems: file → the reason why it cannot be used, on one line.
        warnings: one line for each file, or kind of file, that is not used or slow.
        others: names of the other entries of the folder, which are of no concern.
    """

    folder: Path
    scenes: list[Scene] = field(default_factory=list)
    problems: dict[Path, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    others: tuple[str, ...] = ()


class RasterWarning(UserWarning):
    """Files that were found but are not used."""


def discover(folder: Path, *, require_labels: bool = False, crs: str | None = None) -> list[Scene]:
    """Discover the scenes of a folder; `tsfal_geo.raster.naming.RULES` are the rules on names.

    Files that are not used are reported as `RasterWarning`.

    Args:
        folder: holds orthophotos, or ``images/``, ``dsm/``, ``labels/``.
        require_labels: every scene must have a label file.
        crs: CRS of orthophotos that have a place but declare no CRS, such as ``EPSG:25832``.

    Returns:
        The scenes, sorted by name.

    Raises:
        RasterError: there is no such folder, no orthophoto, or one that cannot be used; or a DSM or label
            file could belong to several scenes, or to none while a scene has none.

    Example:
        >>> [scene.name for scene in discover(Path("rasters"))]  # doctest: +SKIP
        ['area1', 'area3']
    """
    found = survey(folder, crs=crs)
    if found.problems:
        first, *others = found.problems.values()
        more = f" (and {len(others)} more: tsfal-geo info --raster {folder})" if others else ""
        raise RasterError(first + more)
    bare = [scene for scene in found.scenes if scene.labels is None]
    if require_labels and bare:
        raise RasterError(
            f"{bare[0].path} has no label file ({len(bare)} of {len(found.scenes)} scenes have none); put "
            f"one with the same name into {folder / 'labels'}"
        )
    for line in found.warnings:
        warnings.warn(line, RasterWarning, stacklevel=2)
    return found.scenes


def survey(
    folder: Path,
    look: Callable[[Scene, FileHandles], None] | None = None,
    *,
    crs: str | None = None,
) -> Survey:
    """List the files of a folder by name and header; no pixels are read but some of alpha bands.

    Args:
        folder: as for `discover`.
        look: called for each usable scene while its file is open, with the cache that holds the file.
        crs: as for `discover`.

    Returns:
        Usable scenes, and the problems of the others.

    Raises:
        RasterError: there is no such folder, or no orthophoto in it, or ``crs`` is none.
    """
    folder = Path(folder)
    known = None if crs is None else crs_named(crs)
    if not folder.is_dir():
        raise RasterError(f"{folder}: no such folder; give the folder that holds the orthophotos")
    result = Survey(folder)
    images, dsms, labels = _files(result)
    if not images:
        instead = "".join(f"; {line}" for line in result.warnings[:3])
        raise RasterError(
            f"{folder} holds no orthophoto; expected {', '.join(naming.IMAGE_SUFFIXES)} files in it or in "
            f"its images/{instead}"
        )
    _check_names(result, images)
    dsm_of = _match(result, images, dsms, "DSM")
    labels_of = _match(result, images, labels, "label file")
    handles = FileHandles(limit=1)
    for image in images:
        if image in result.problems:
            continue
        try:
            scene = read_scene(image, dsm_of.get(image), labels_of.get(image), handles, known)
        except UserError as error:
            result.problems[image] = str(error)
            continue
        result.scenes.append(scene)
        if look is not None:
            look(scene, handles)
    handles.close()
    return result


def _files(result: Survey) -> tuple[list[Path], list[Path], list[Path]]:
    """Orthophotos, DSMs and labels."""
    folder = result.folder
    home = _home(folder, naming.IMAGE_FOLDERS) or folder
    listed = _listed(home, naming.LABEL_SUFFIXES)
    pool = _without_slow_twins(result, _without_parts(result, listed))
    beside = _listed(folder, naming.LABEL_SUFFIXES) if home != folder else []
    if beside:
        result.warnings.append(
            f"{beside[0]} is not read ({len(beside)} such files): orthophotos are in {home.name}/"
        )
    by_role: dict[str, list[Path]] = {"image": [], "dsm": [], "labels": []}
    for path in pool:
        by_role[naming.role(path)].append(path)
    if not by_role["image"]:
        by_role = {"image": [p for p in pool if p.suffix.lower() in naming.IMAGE_SUFFIXES]}
    dsms = _companions(result, naming.DSM_FOLDERS, naming.IMAGE_SUFFIXES, by_role.get("dsm", []))
    labels = _companions(result, naming.LABEL_FOLDERS, naming.LABEL_SUFFIXES, by_role.get("labels", []))
    homes = {home, *(path.parent for path in (*dsms, *labels))}
    homes |= {
        found for names in (naming.DSM_FOLDERS, naming.LABEL_FOLDERS) if (found := _home(folder, names))
    }
    rest = find_leftovers(folder, homes, {*listed, *beside, *dsms, *labels})
    result.warnings += rest.warnings
    result.others = rest.others
    return by_role["image"], dsms, labels


def _home(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first existing folder of these names, else of these names in capitals."""
    exact = next((folder / name for name in names if (folder / name).is_dir()), None)
    if exact is not None:
        return exact
    return next((p for p in sorted(folder.iterdir()) if p.name.lower() in names and p.is_dir()), None)


def _without_slow_twins(result: Survey, pool: list[Path]) -> list[Path]:
    """Leave out JPEG 2000 files that were converted, and tell that the others are slow."""
    slow = [path for path in pool if path.suffix.lower() == ".jp2"]
    stems = {path.stem for path in pool if path not in slow}
    left = [path for path in slow if path.stem not in stems]
    if left:
        result.warnings.append(
            f"{left[0]} ({len(left)} such files) is JPEG 2000, which takes many times longer to read than "
            "a tiled "
            "GeoTIFF; convert it once with `gdal_translate -co TILED=YES -co COMPRESS=DEFLATE "
            f"{left[0].name} "
            f"{left[0].stem}.tif`"
        )
    return [path for path in pool if path not in slow or path in left]


def _without_parts(result: Survey, pool: list[Path]) -> list[Path]:
    """Leave out the files that a VRT beside them mosaics: they would count twice."""
    mosaic_of: dict[Path, Path] = {}
    for path in pool:
        if path.suffix.lower() == ".vrt":
            mosaic_of |= {part.resolve(): path for part in local_sources(path)}
    parts = [path for path in pool if path.resolve() in mosaic_of]
    if parts:
        mosaic = mosaic_of[parts[0].resolve()]
        result.warnings.append(
            f"{parts[0]} is not read by itself ({len(parts)} such files): it is part of {mosaic.name}"
        )
    return [path for path in pool if path not in parts]


def _companions(
    result: Survey, names: tuple[str, ...], suffixes: tuple[str, ...], pool: list[Path]
) -> list[Path]:
    """The files of the first existing folder of ``names``, else ``pool``, whose roles the names tell."""
    home = _home(result.folder, names)
    if home is None:
        return pool
    result.warnings += [f"{path} is not read: there is {home.name}/ for such files" for path in pool]
    return _listed(home, suffixes)


def _listed(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )


def _check_names(result: Survey, images: list[Path]) -> None:
    first: dict[str, Path] = {}
    for image in images:
        twin = first.setdefault(image.stem.lower(), image)
        if twin is not image:
            result.problems[image] = f"{image} and {twin.name} have one name; rename one of them"


def _match(result: Survey, images: list[Path], others: list[Path], what: str) -> dict[Path, Path]:
    matches = naming.match(images, others)
    for image, files in matches.several.items():
        names = " and ".join(path.name for path in files)
        result.problems.setdefault(
            image, f"{image} has more than one {what}: {names}; keep one, or give one the orthophoto's name"
        )
    without = [image for image in images if image not in matches.found and image not in matches.several]
    for orphan in matches.orphans:
        text = f"{orphan} is the {what} of no orthophoto"
        if without:
            result.problems[orphan] = (
                f"{text}, while {without[0].name} has none; give it that name, or move it away"
            )
        else:
            result.warnings.append(f"{text}; it is not used")
    return matches.found
