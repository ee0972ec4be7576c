"""Prepared datasets as torchgeo datasets: chips by number, as dictionaries of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.config import load_config, parse_label_values
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
"""Name of the band with metres above local ground; with 8-bit normalised surface models, grey values."""


class PreparedDataset(NonGeoDataset):
    """The chips of one split of a dataset that ``tsfal-geo datasets prepare`` made.

    An item holds ``image`` (C, S, S) float32, in the file's units and the order of ``bands``, and ``mask``
    (S, S) int64, class indices, 255 without a label or a measurement. Chips are cut from the upper left, and
    those of the last row and column are shifted back.

    A subclass defines ``all_bands``, the names of the files' bands in their order.

    Attributes:
        bands: names of the channels of the image.
        classes: the class map.
        chips: dataset of the chips in the rasters' data type.

    Example:
        >>> dataset = Vaihingen("prepared", split="val", bands=("NIR", "R", "G"))  # doctest: +SKIP
        >>> dataset[0]["image"].shape  # doctest: +SKIP
        torch.Size([3, 512, 512])
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        bands: Sequence[str] | None = None,
        transforms: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ) -> None:
        """List the chips; no pixel is read.

        Args:
            root: the prepared folder.
            split: ``train``, ``val`` or ``test``.
            bands: names out of ``all_bands``, and ``height`` if the dataset was prepared with heights; None
                for all but height.
            transforms: function of each item.

        Raises:
            UserError: the folder holds no prepared dataset.
            ConfigError: there is no such split or band.
            RasterError: the dataset was prepared without heights.
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
        self.classes = ClassMap.from_specs(
            config.classes or (),
            config.ignore_colours,
            config.ignore_ids,
            parse_label_values(config.label_values),
        )
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
        """Read a chip.

        Args:
            index: number of the chip.

        Returns:
            ``image`` and ``mask``.
        """
        chip = self.chips.read_chip(self.chips.chips[index])
        layers = dict(zip(self._spectral, chip["image"].float(), strict=True))
        if HEIGHT in self.bands:
            layers[HEIGHT] = chip["height"][0]
        mask = chip["mask"].long()
        mask[~chip["valid"]] = IGNORE
        item = {"image": torch.stack([layers[band] for band in self.bands]), "mask": mask}
        return item if self.transforms is None else self.transforms(item)

    def plot(self, sample: dict[str, Tensor], suptitle: str | None = None) -> Figure:
        """Plot the first three bands, and the mask and the prediction in the classes' colours.

        Args:
            sample: an item, with ``prediction`` (S, S) if there is one.
            suptitle: title of the figure.

        Returns:
            The figure.
        """
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
    """ISPRS Vaihingen: near infrared, red and green at 9 cm, with six classes.

    Unlike torchgeo's ``Vaihingen2D``, it has a validation split, chips, heights and the owners' order of the
    classes; black, the boundaries in eroded ground truth, is 255, no class.
    """

    all_bands: tuple[str, ...] = ("NIR", "R", "G")
