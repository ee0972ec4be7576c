"""A model as one zip file: weights, card, and what was exported with them."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tsfal_geo.atomic import replace_file
from tsfal_geo.errors import WeightsError
from tsfal_geo.models.io import CARD_NAME, WEIGHTS_NAME, load_model

NAMES = (WEIGHTS_NAME, CARD_NAME, "model.onnx", "model.stac.json")
"""Names of the files of an archive; the first two are in every one. Others are not unpacked."""
_MOST_BYTES = 8 * 2**30  # of all files together, unpacked


def pack_model(path: Path, folder: Path, further: Sequence[Path] = ()) -> list[str]:
    """Write a model as a zip, whole or not at all.

    Args:
        path: the zip.
        folder: of the model.
        further: other files, of ``NAMES``.

    Returns:
        Names of the files in it.

    Raises:
        WeightsError: the model is missing or damaged.
    """
    load_model(folder)
    files = [folder / WEIGHTS_NAME, folder / CARD_NAME, *further]
    with replace_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    return [file.name for file in files]


def unpack_model(path: Path, folder: Path) -> list[str]:
    """Unpack a zip of `pack_model` into a folder, and check that weights and card belong together.

    Args:
        path: the zip.
        folder: created if need be; must not hold a model.

    Returns:
        Names of the files.

    Raises:
        WeightsError: the file is no such zip, or damaged; or the folder holds a model.
    """
    if any((folder / name).exists() for name in NAMES):
        raise WeightsError(f"{folder}: found a model, expected a folder without one; name another folder")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename in NAMES]
            found = {entry.filename for entry in entries}
            if not {WEIGHTS_NAME, CARD_NAME} <= found or len(found) != len(entries):
                raise WeightsError(
                    f"{path}: expected {WEIGHTS_NAME} and {CARD_NAME} in it, once each; make it with "
                    "`tsfal-geo model export`"
                )
            if sum(entry.file_size for entry in entries) > _MOST_BYTES:
                raise WeightsError(f"{path}: more than {_MOST_BYTES >> 30} GB unpacked, expected a model")
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".model-", dir=folder) as temporary:
                for entry in entries:
                    archive.extract(entry, temporary)
                load_model(Path(temporary))
                for name in sorted(found, key=lambda name: name == CARD_NAME):  # the card makes it complete
                    (Path(temporary) / name).replace(folder / name)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        if isinstance(error, WeightsError):  # one of ours, which are RuntimeErrors
            raise
        raise WeightsError(f"{path}: not readable as a zip ({error}); copy it again") from None
    except OSError as error:
        raise WeightsError(f"{path}: not readable ({error.strerror or error})") from None
    return sorted(found)


@contextmanager
def model_folder(path: Path) -> Iterator[Path]:
    """Give the folder of a model; a zip is unpacked for as long as the block runs.

    Args:
        path: a zip of `pack_model`, a folder with a model, or a workspace, whose last model is meant.

    Yields:
        A folder with weights and card.

    Raises:
        WeightsError: there is no model.
    """
    if path.is_file():
        with tempfile.TemporaryDirectory(prefix="tsfal-model-") as temporary:
            unpack_model(path, Path(temporary) / "model")
            yield Path(temporary) / "model"
        return
    rounds = sorted((path / "rounds").glob(f"*/{CARD_NAME}"))
    folder = rounds[-1].parent if rounds and not (path / CARD_NAME).is_file() else path
    if not (folder / CARD_NAME).is_file():
        raise WeightsError(
            f"{path}: found no model, expected a folder with {CARD_NAME}, a workspace with a trained round, "
            "or a zip of `tsfal-geo model export`"
        )
    yield folder
