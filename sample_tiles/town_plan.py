"""Where everything stands in the synthetic town: sites, houses with their plots, yards, cars and trees."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from town_layout import (
    BUILDING,
    CAR,
    CLUTTER,
    HEIGHT_M,
    IMPERVIOUS,
    LOW,
    TREE,
    WIDTH_M,
    Item,
    Occupancy,
    Street,
    Town,
    shifted,
    streets,
)
from town_materials import CAR_COLOURS, GARDENS, ROOFS, TREES, WEIGHTED_ROOFS, pick

DRIVES = {"asphalt": 0.3, "pavers": 0.45, "gravel": 0.25}
HALLS = ((74, 22, 32, 18, "bitumen"), (157, 95, 20, 26, "gravelroof"), (257, 21, 24, 17, "metal"))
PARKINGS = ((107, 25, 21, 23), (199, 26, 24, 24), (14, 25, 18, 22))
COURTS = ((66, 119, 24, 12, "tartan"), (206, 112, 15, 22, "turf"))
PONDS = ((158, 166, 14, 9), (256, 168, 10, 6))
WORKS = ((62, 166, 21, 13), (203, 165, 16, 11), (105, 72, 13, 9))
YARD = (
    ("patch", CLUTTER, 130, 6.0, 3.4, 0.0, {"pool": 0.4, "water": 0.3, "slate": 0.3}),
    ("box", CLUTTER, 90, 4.5, 2.3, 2.4, CAR_COLOURS),
    ("heap", CLUTTER, 70, 4.0, 3.0, 1.3, {"mud": 0.6, "rubble": 0.4}),
    ("patch", LOW, 190, 6.0, 3.5, 0.0, {"soil": 0.5, "crops": 0.5}),
    ("patch", LOW, 150, 9.0, 6.0, 0.0, {"dry": 0.4, "meadow": 0.6}),
    ("patch", IMPERVIOUS, 120, 7.0, 2.6, 0.0, {"pavers": 0.6, "gravel": 0.4}),
    ("hedge", TREE, 150, 9.0, 1.3, 1.9, {"hedge": 1.0}),
)


class Planner:
    """Fills an empty town from a seed: sites, houses with plots, then what stands around them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.town = Town(streets())
        self.busy = Occupancy()
        for street in self.town.streets:
            for x, y, angle in street.along(1.0):
                self.busy.take(
                    self._item("patch", IMPERVIOUS, x, y, angle, 2.0, street.width + 2 * street.walk)
                )

    def plan(self) -> Town:
        """The whole town."""
        self._sites()
        for street in self.town.streets:
            for side in (-1, 1):
                self._houses(street, side)
        self._back_lots(260)
        self._yard_things()
        self._street_cars()
        self._trees()
        return self.town

    def _item(
        self, kind: str, label: int, x: float, y: float, angle: float, length: float, width: float,
        height: float = 0.0, material: str = "asphalt", spread: float = 0.18,
    ) -> Item:  # fmt: skip
        light = 1 + spread * self.rng.uniform(-1, 1)
        tint = tuple(float(light * (1 + spread / 3 * self.rng.uniform(-1, 1))) for _ in range(3))
        seed = int(self.rng.integers(1 << 30))
        return Item(
            kind, label, x, y, angle, length, width, height, material, (tint[0], tint[1], tint[2]), seed
        )

    def _solid(self, item: Item, gap: float = 0.3) -> None:
        self.town.solid.append(item)
        self.busy.take(item, gap)

    def _ground(self, item: Item, *, take: bool = False) -> None:
        self.town.ground.append(item)
        if take:
            self.busy.take(item)

    def _sites(self) -> None:
        for x, y, length, width, material in HALLS:
            self._ground(
                self._item("patch", IMPERVIOUS, x, y, 0.03, length + 7, width + 6, 0, "concrete"), take=True
            )
            self._solid(
                self._item("flat", BUILDING, x, y, 0.03, length, width, self.rng.uniform(6, 8), material)
            )
        for x, y, length, width in PARKINGS:
            self._parking(x, y, length, width)
        for x, y, length, width, material in COURTS:
            self._ground(
                self._item("patch", IMPERVIOUS, x, y, 0.06, length, width, 0, material, 0.05), take=True
            )
        for x, y, length, width in PONDS:
            self._ground(self._item("oval", LOW, x, y, 0.3, length + 14, width + 12, 0, "meadow"))
            self._ground(self._item("oval", CLUTTER, x, y, 0.3, length, width, 0, "water"), take=True)
        for x, y, length, width in WORKS:
            self._works(x, y, length, width)

    def _parking(self, x: float, y: float, length: float, width: float) -> None:
        self._ground(self._item("patch", IMPERVIOUS, x, y, 0.05, length, width, 0, "asphalt"), take=True)
        for row in np.arange(-width / 2 + 3, width / 2 - 2, 7.6):
            for bay in np.arange(-length / 2 + 2, length / 2 - 1, 2.6):
                cx, cy = shifted(x, y, 0.05, bay, row)
                self._ground(
                    self._item(
                        "patch", IMPERVIOUS, *shifted(cx, cy, 0.05, 1.3, 0), 0.05, 0.14, 4.8, 0, "paint"
                    )
                )
                if self.rng.random() < 0.6:
                    self._car(cx, cy, 0.05 + math.pi / 2)

    def _works(self, x: float, y: float, length: float, width: float) -> None:
        self._ground(self._item("patch", CLUTTER, x, y, 0.1, length, width, 0, "mud"), take=True)
        for _ in range(5):
            dx, dy = self.rng.uniform(-0.38, 0.38, 2)
            px, py = shifted(x, y, 0.1, dx * length, dy * width)
            kind, material, height = (("heap", "mud", 2.0), ("box", pick(self.rng, CAR_COLOURS), 2.5))[
                int(self.rng.random() < 0.4)
            ]
            size = (
                (6.1, 2.5)
                if kind == "box"
                else (float(self.rng.uniform(3, 7)), float(self.rng.uniform(3, 5)))
            )
            self._solid(self._item(kind, CLUTTER, px, py, self.rng.uniform(0, 3), *size, height, material))

    def _houses(self, street: Street, side: int) -> None:
        pending = 0.0
        for x, y, angle in street.along(1.5):
            pending -= 1.5
            if pending > 0:
                continue
            house = self._house(street, side, x, y, angle)
            if not self.busy.free(house, 0.05 if street.dense else 1.6):
                continue
            self._plot(street, side, house)
            pending = house.length + (
                0.0 if street.dense and self.rng.random() < 0.75 else self.rng.uniform(4, 8)
            )

    def _house(self, street: Street, side: int, x: float, y: float, angle: float) -> Item:
        length, depth = self.rng.uniform(9.5, 14.5), self.rng.uniform(8.5, 11.5)
        setback = 0.4 if street.dense else self.rng.uniform(2.5, 5.5)
        storeys = self.rng.uniform(7, 10.5) if street.dense else self.rng.uniform(3.4, 6)
        hx, hy = shifted(x, y, angle, 0, side * (street.width / 2 + street.walk + setback + depth / 2))
        turned = not street.dense and self.rng.random() < 0.3
        shape = pick(self.rng, {"gable": 0.55, "hip": 0.25, "flat": 0.2})
        heading = angle + (math.pi / 2 if turned else self.rng.uniform(-0.04, 0.04))
        return self._item(
            shape, BUILDING, hx, hy, heading, length, depth, storeys, pick(self.rng, WEIGHTED_ROOFS), 0.22
        )

    def _plot(self, street: Street, side: int, house: Item) -> None:
        axis = house.angle
        cover = "pavers" if street.dense else pick(self.rng, GARDENS)
        label = IMPERVIOUS if cover == "pavers" else LOW
        middle = shifted(house.x, house.y, axis, 0, side * 6)
        self.town.gardens.append(self._item("patch", label, *middle, axis, house.length + 5, 26, 0, cover))
        drive = shifted(house.x, house.y, axis, house.length / 2 + 1.9, -side * 3)
        self._ground(self._item("patch", IMPERVIOUS, *drive, axis, 3.2, 14, 0, pick(self.rng, DRIVES)))
        self._solid(house)
        if self.rng.random() < 0.4:
            wing = replace(
                house, length=house.width * 0.9, width=house.length * 0.5, angle=axis + math.pi / 2
            )
            wx, wy = shifted(
                house.x, house.y, axis, house.length * self.rng.uniform(-0.2, 0.2), side * house.width * 0.45
            )
            self._solid(replace(wing, x=wx, y=wy))
        terrace = shifted(house.x, house.y, axis, self.rng.uniform(-2, 2), side * (house.width / 2 + 2))
        self._ground(self._item("patch", IMPERVIOUS, *terrace, axis, self.rng.uniform(4, 7), 4, 0, "pavers"))
        shed = self._item(
            "flat",
            BUILDING,
            *shifted(house.x, house.y, axis, house.length / 2 + 2, side * 3),
            axis,
            3.2,
            6.2,
            2.7,
            pick(self.rng, ROOFS),
        )
        if self.busy.free(shed, 0.2) and self.rng.random() < 0.7:
            self._solid(shed)
        if self.rng.random() < 0.45:
            self._car(*shifted(*drive, axis, 0, self.rng.uniform(-1.5, 1.5)), axis + math.pi / 2)

    def _back_lots(self, tries: int) -> None:
        for _ in range(tries):
            x, y = self.rng.uniform(-8, WIDTH_M + 8), self.rng.uniform(-8, HEIGHT_M + 8)
            angle = self.rng.uniform(-0.2, 0.2)
            size = self.rng.uniform(8, 15), self.rng.uniform(7, 11)
            shape = pick(self.rng, {"gable": 0.5, "hip": 0.2, "flat": 0.3})
            house = self._item(
                shape,
                BUILDING,
                x,
                y,
                angle,
                *size,
                self.rng.uniform(3, 6),
                pick(self.rng, WEIGHTED_ROOFS),
                0.22,
            )
            if self.busy.free(house, 2.2):
                cover = pick(self.rng, GARDENS)
                self.town.gardens.append(
                    self._item("patch", LOW, x, y, angle, size[0] + 9, size[1] + 10, 0, cover)
                )
                path = shifted(x, y, angle, size[0] / 2 + 1.5, 0)
                self._ground(
                    self._item("patch", IMPERVIOUS, *path, angle, 3.0, size[1] + 6, 0, pick(self.rng, DRIVES))
                )
                self._solid(house)

    def _yard_things(self) -> None:
        for kind, label, count, length, width, height, materials in YARD:
            for _ in range(count):
                x, y = self.rng.uniform(0, WIDTH_M), self.rng.uniform(0, HEIGHT_M)
                size = self.rng.uniform(0.75, 1.25, 2) * (length, width)
                angle = self.rng.uniform(-0.3, 0.3) + math.pi / 2 * self.rng.integers(2)
                material = pick(self.rng, materials)
                item = self._item(kind, label, x, y, angle, float(size[0]), float(size[1]), height, material)
                if not self.busy.free(item, 0.4):
                    continue
                if height:
                    self._solid(item)
                else:
                    self._ground(item, take=label == CLUTTER)

    def _car(self, x: float, y: float, angle: float) -> None:
        long = self.rng.random() < 0.1
        size = (
            (6.4, 2.1, 2.5)
            if long
            else (float(self.rng.uniform(3.9, 4.8)), float(self.rng.uniform(1.7, 1.9)), 1.5)
        )
        heading = angle + self.rng.uniform(-0.05, 0.05) + math.pi * self.rng.integers(2)
        self._solid(self._item("car", CAR, x, y, heading, *size, pick(self.rng, CAR_COLOURS), 0.15))

    def _street_cars(self) -> None:
        for street in self.town.streets:
            for x, y, angle in street.along(6.0):
                for side in (-1, 1):
                    draw = self.rng.random()
                    if draw < 0.1:
                        self._car(
                            *shifted(
                                x, y, angle, self.rng.uniform(-0.7, 0.7), side * (street.width / 2 - 1.0)
                            ),
                            angle,
                        )
                    elif draw < 0.125 and street.width > 6:
                        self._car(*shifted(x, y, angle, 0, side * 1.4), angle)

    def _trees(self) -> None:
        for street in self.town.streets:
            for x, y, angle in street.along(9.0):
                for side in (-1, 1):
                    if self.rng.random() < 0.4:
                        self._tree(
                            *shifted(x, y, angle, 0, side * (street.width / 2 + street.walk * 0.7)), 4.5, 8.5
                        )
        for _ in range(2600):
            x, y = self.rng.uniform(-12, WIDTH_M + 12), self.rng.uniform(-12, HEIGHT_M + 12)
            trunk = self._item("patch", TREE, x, y, 0.0, 0.8, 0.8)
            grove = math.sin(x / 23 + 1) * math.sin(y / 17 + 2)
            if self.busy.free(trunk, 0.7) and self.rng.random() < 0.45 + 0.5 * grove:
                self._tree(x, y, 2.2, 11.0 if grove > 0.2 else 8.0)
                self.busy.take(trunk, 0.8)

    def _tree(self, x: float, y: float, smallest: float, largest: float) -> None:
        crown = float(smallest + (largest - smallest) * self.rng.random() ** 1.4)
        height = 2.0 + crown * float(self.rng.uniform(0.7, 1.3))
        species = pick(self.rng, TREES)
        shape = "cone" if species == "conifer" else "crown"
        ratio = float(self.rng.uniform(0.8, 1.0))
        self.town.solid.append(
            self._item(shape, TREE, x, y, self.rng.uniform(0, 3), crown, crown * ratio, height, species, 0.2)
        )
