"""How good the map of the training scenes themselves is, where an oracle knows the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.classes import IGNORE
from tsfal_geo.raster.chips import owned_part
from tsfal_geo.rounds.label_overlay import trusted_votes

if TYPE_CHECKING:
    from tsfal_geo.rounds.context import Context
    from tsfal_geo.rounds.inspection import Seen
    from tsfal_geo.rounds.pools import RoundLabels


class MapScore:
    """mIoU of what ``export`` would write of the training scenes: labels over votes over the prediction.

    It is what labels are asked for where the scenes that are labelled are the ones to be mapped: a wrong
    region that was asked is right in the map, whatever the network makes of it.
    """

    def __init__(self, context: Context, labels: RoundLabels) -> None:
        """Start to count.

        Args:
            context: of a run with an oracle.
            labels: of the round.
        """
        self._inputs, self._plar = context.inputs, context.config.plar
        self._truth, self._labels = context.inputs.truth, labels.every
        self._confusion = Confusion(len(context.inputs.classes))

    def add(self, seen: Seen) -> None:
        """Count the part of a chip that no other chip counts."""
        chip = seen.chip
        made, said = seen.layers["prediction"], self._labels.read(chip.window)
        if "refined" in seen.layers:
            voted = trusted_votes(seen.layers["refined"], said, self._plar)
            made = np.where(voted != IGNORE, voted, made)
        made = np.where(said != IGNORE, said, made)
        truth = np.where(seen.layers["prediction"] != IGNORE, self._truth.read(chip.window), np.uint8(IGNORE))
        scene = self._inputs.scenes[chip.scene]
        part = owned_part(chip, scene.height, scene.width)
        self._confusion.add(truth[part], made[part])

    @property
    def miou(self) -> float | None:
        """The mean IoU over the classes that occur, 0 to 1."""
        return self._confusion.scores(self._inputs.classes.names).miou
