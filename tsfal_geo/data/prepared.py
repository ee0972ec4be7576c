"""Prepared datasets for torchgeo's users: chips by number, as dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.config import load_config
from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.datasets.adapter import open_prepared
from tsfal_geo.errors import ConfigError
from tsfal_geo.raster.chips import scene_chips
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.reader import SceneReader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT = "height"
"""Name of the band that holds metres above local ground (of 8-bit normalised DSMs: grey values)."""


class PreparedDataset(NonGeoDataset):
    """The chips of one split of a dataset made by ``tsfal-geo datasets prepare``.

    An item holds ``image`` (C, S, S) float32 in the file's units, the bands in the order asked for, and
    ``mask`` (S, S) int64, class indices, 255 where there is no label or no measurement. Chips are cut as
    everywhere in this package: from the upper left, the last row and column shifted back.

    A subclass gives ``all_bands``, the names of the files' bands in their order.

    Attributes:
        bands: names of the image's channels.
        classes: the class map.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        bands: Sequence[str] | None = None,
        transforms: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ) -> None:
        """Find the chips; no pixel is read.

        Args:
            root: the prepared folder.
            split: ``train``, ``val`` or ``test``.
            bands: names out of ``all_bands``, and ``height`` where it was prepared with heights; None: all
                but height.
            transforms: applied to each item.

        Raises:
            UserError: no prepared dataset there.
            ConfigError: a split or band that there is not.
            RasterError: height asked for, prepared without.
        """
        prepared = open_prepared(Path(root))
        if split not in prepared.splits:
            raise ConfigError(f"{root}: found no split '{split}', expected {' or '.join(prepared.splits)}")
        self.bands = tuple(self.all_bands if bands is None else bands)
        available = (*self.all_bands, HEIGHT)
        if not set(self.bands) <= set(available) or not set(self.bands) - {HEIGHT}:
            raise ConfigError(f"found bands {', '.join(self.bands)}, expected some of {', '.join(available)}")
        self.transforms = transforms
        config = load_config(prepared.config)
        self.classes = ClassMap.from_specs(config.classes or (), config.ignore_colours, config.ignore_ids)
        self._spectral = [band for band in self.bands if band != HEIGHT]
        scenes = discover(prepared.splits[split], require_labels=True)
        numbers = tuple(self.all_bands.index(band) + 1 for band in self._spectral)
        self.chips = OrthoDataset(
            SceneReader(scenes, numbers, use_dsm=HEIGHT in self.bands),
            FolderLabels(scenes, self.classes),
            scene_chips(scenes, config.data.chip_size, config.data.edge),
        )

    def __len__(self) -> int:
        """Number of chips."""
        return len(self.chips.chips)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Read a chip."""
        chip = self.chips.read_chip(self.chips.chips[index])
        layers = dict(zip(self._spectral, chip["image"].float(), strict=True))
        if HEIGHT in self.bands:
            layers[HEIGHT] = chip["height"][0]
        mask = chip["mask"].long()
        mask[~chip["valid"]] = IGNORE
        item = {"image": torch.stack([layers[band] for band in self.bands]), "mask": mask}
        return item if self.transforms is None else self.transforms(item)

    def plot(self, sample: dict[str, Tensor], suptitle: str | None = None) -> Figure:
        """The first three bands, the mask in the classes' colours, and a ``prediction`` if there is one."""
        from matplotlib import pyplot

        image = sample["image"][:3] if len(sample["image"]) >= 3 else sample["image"][:1].expand(3, -1, -1)
        low, high = image.min(), image.max()
        panels = {"image": ((image - low) / (high - low).clamp_min(1e-6)).permute(1, 2, 0)}
        palette = torch.zeros(256, 3, dtype=torch.uint8)
        palette[: len(self.classes)] = torch.from_numpy(self.classes.colours)
        for name in ("mask", "prediction"):
            if name in sample:
                panels[name] = palette[sample[name].long()]
        figure, axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 4), squeeze=False)
        for axis, (name, picture) in zip(axes[0], panels.items(), strict=True):
            axis.imshow(picture.numpy())
            axis.set_title(name)
            axis.axis("off")
        if suptitle is not None:
            figure.suptitle(suptitle)
        return figure


class Vaihingen(PreparedDataset):
    """ISPRS Vaihingen: NIR, red and green at 9 cm, six classes, 233, 111 and 398 chips of 512 pixels.

    Unlike torchgeo's ``Vaihingen2D`` it has a validation split, chips, heights and the owners' order of
    classes, and black (boundaries in eroded ground truth) is 255, no class.
    """

    all_bands: tuple[str, ...] = ("NIR", "R", "G")
