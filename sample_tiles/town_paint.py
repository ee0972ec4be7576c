"""Paints the items of the synthetic town on one window: reflectance, heights and labels per pixel."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from scipy import sparse
from town_layout import BUILDING, IMPERVIOUS, LOW, Item, Town
from town_materials import MATERIALS, Material

PIXEL_M = 0.09
FloatArray = np.ndarray
SCALES = (2, 6, 20, 70, 260)


class Lattice:
    """Smooth random fields of unit variance: at one place the same, whichever window asks."""

    def __init__(self, seed: int, row: int, column: int, size: int) -> None:
        self._seed, self._row, self._column, self._size = seed, row, column, size

    def field(self, scale: int) -> FloatArray:
        """White noise on a grid of `scale` pixels, blended by cubic B-splines. (size, size) float64."""
        rng = np.random.default_rng([self._seed, scale])
        rows, columns = 2600 // scale + 8, 3700 // scale + 8
        knots = rng.random((rows, columns)) - 0.5
        return (
            7.2
            * (self._basis(self._column, scale, columns) @ (self._basis(self._row, scale, rows) @ knots).T).T
        )

    def _basis(self, start: int, scale: int, knots: int) -> sparse.csr_array:
        at = (np.arange(start, start + self._size) + 300 + 0.5) / scale + 1
        first = np.floor(at).astype(int) - 1
        nearest = first[:, None] + np.arange(4)[None]
        distance = np.abs(at[:, None] - nearest)
        inner = 2 / 3 - distance**2 + distance**3 / 2
        weights = np.where(distance < 1, inner, np.clip(2 - distance, 0, None) ** 3 / 6)
        rows = np.arange(0, 4 * self._size + 1, 4)
        return sparse.csr_array((weights.ravel(), nearest.ravel(), rows), shape=(self._size, knots))


class Painter:
    """One window of the town. Arrays are (size, size); `albedo` is (3, size, size), NIR-R-G in 0..1."""

    def __init__(self, town: Town, seed: int, row: int, column: int, size: int) -> None:
        self.row, self.column, self.size = row, column, size
        lattice = Lattice(seed, row, column, size)
        self.noise = {scale: lattice.field(scale) for scale in SCALES}
        self.height = np.zeros((size, size))
        self.label = np.full((size, size), LOW, np.uint8)
        self.albedo = np.empty((3, size, size))
        whole = (slice(0, size), slice(0, size))
        y, x = self._metres(whole)
        wild = self.noise[260] + 0.5 * self.noise[70] > 0.9
        for material, mask in (("lawn", ~wild), ("meadow", wild)):
            self._fill(whole, mask, self._texture(whole, MATERIALS[material], x, y, (1.0, 1.0, 1.0)))
        self._paint_town(town)

    def _paint_town(self, town: Town) -> None:
        for item in town.gardens + town.ground:
            self._flat_cover(item)
        self._streets(town)
        for item in town.solid:
            self._solid(item)

    def _metres(self, box: tuple[slice, slice]) -> tuple[FloatArray, FloatArray]:
        y = (np.arange(box[0].start, box[0].stop) + self.row + 0.5) * PIXEL_M
        x = (np.arange(box[1].start, box[1].stop) + self.column + 0.5) * PIXEL_M
        return y[:, None], x[None]

    def _local(
        self, item: Item, grow: float = 1.15
    ) -> tuple[tuple[slice, slice], FloatArray, FloatArray] | None:
        reach = grow * math.hypot(item.length, item.width) / 2
        edges = [item.y - reach, item.y + reach, item.x - reach, item.x + reach]
        cells = [math.floor(edge / PIXEL_M) for edge in edges]
        top, bottom = max(0, cells[0] - self.row), min(self.size, cells[1] - self.row + 1)
        left, right = max(0, cells[2] - self.column), min(self.size, cells[3] - self.column + 1)
        if top >= bottom or left >= right:
            return None
        box = (slice(top, bottom), slice(left, right))
        y, x = self._metres(box)
        c, s = math.cos(item.angle), math.sin(item.angle)
        return box, c * (x - item.x) + s * (y - item.y), c * (y - item.y) - s * (x - item.x)

    def _fill(self, box: tuple[slice, slice], mask: np.ndarray, albedo: FloatArray) -> None:
        view = self.albedo[:, box[0], box[1]]
        view[:, mask] = albedo[:, mask]

    def _texture(
        self,
        box: tuple[slice, slice],
        material: Material,
        u: FloatArray,
        v: FloatArray,
        tint: tuple[float, ...],
    ) -> FloatArray:
        noise = {scale: field[box] for scale, field in self.noise.items()}
        grain = material.fine * (0.8 * noise[2] + 0.5 * noise[6])
        blotch = material.middle * (0.6 * noise[6] + noise[20]) + material.coarse * (
            noise[70] + 0.7 * noise[260]
        )
        light = (1 + grain) * (1 + blotch) * _pattern(material.pattern, u, v)
        colour = np.array(material.colour) * np.array(tint)
        hue = np.array((0.5, -0.3, -0.2))[:, None, None] * material.hue * noise[20]
        return colour[:, None, None] * light[None] * (1 + hue)

    def _flat_cover(self, item: Item) -> None:
        found = self._local(item)
        if found is None:
            return
        box, u, v = found
        ragged = 0.12 * self.noise[20][box] if item.label != IMPERVIOUS else 0.0
        if item.kind == "oval":
            mask = (2 * u / item.length) ** 2 + (2 * v / item.width) ** 2 < 1 + 0.5 * ragged
        else:
            mask = (abs(u) < item.length / 2 + ragged) & (abs(v) < item.width / 2 + ragged)
        self._fill(box, mask, self._texture(box, MATERIALS[item.material], u, v, item.tint))
        self.label[box][mask] = item.label

    def _streets(self, town: Town) -> None:
        whole = (slice(0, self.size), slice(0, self.size))
        y, x = self._metres(whole)
        distances = [self._street_distance(street.points, whole) for street in town.streets]
        for street, distance in zip(town.streets, distances, strict=True):
            mask = distance < street.width / 2 + street.walk
            self._fill(whole, mask, self._texture(whole, MATERIALS["walk"], x, y, (1.0, 1.0, 1.0)))
            self.label[mask] = IMPERVIOUS
        worn = 1 + 0.10 * (self.noise[70] > 1.1) - 0.12 * (self.noise[70] < -1.3)
        road = self._texture(whole, MATERIALS["asphalt"], x, y, (1.0, 1.0, 1.0)) * worn
        for street, distance in zip(town.streets, distances, strict=True):
            tracks = 1 + 0.05 * (abs(distance - street.width / 5) < 0.35)
            self._fill(whole, distance < street.width / 2, road * tracks)
            kerb = abs(distance - street.width / 2) < 0.08
            self._fill(whole, kerb, road * 1.35)
        for street in town.streets:
            if street.width > 6:
                self._markings(street.along(6.0))

    def _markings(self, places: Iterable[tuple[float, float, float]]) -> None:
        for x, y, angle in places:
            self._flat_cover(Item("patch", IMPERVIOUS, x, y, angle, 2.6, 0.15, 0.0, "paint"))

    def _street_distance(self, points: FloatArray, box: tuple[slice, slice]) -> FloatArray:
        """Distance in metres from each pixel to the centre line, exact up to 12 m from it."""
        y, x = self._metres(box)
        best = np.full((self.size, self.size), 144.0)
        for (x0, y0), (x1, y1) in pairwise(points):
            piece = Item(
                "patch", 0, (x0 + x1) / 2, (y0 + y1) / 2, 0.0, abs(x1 - x0) + 20, abs(y1 - y0) + 20, 0.0, ""
            )
            found = self._local(piece, 1.0)
            if found is None:
                continue
            part = found[0]
            dx, dy = x[:, part[1]] - x0, y[part[0]] - y0
            lx, ly = x1 - x0, y1 - y0
            t = np.clip((dx * lx + dy * ly) / (lx * lx + ly * ly), 0, 1)
            np.minimum(best[part], (dx - t * lx) ** 2 + (dy - t * ly) ** 2, out=best[part])
        return np.sqrt(best)

    def _solid(self, item: Item) -> None:
        found = self._local(item)
        if found is None:
            return
        box, u, v = found
        height, mask = _surface(item, u, v, {scale: field[box] for scale, field in self.noise.items()})
        mask &= height > self.height[box]
        albedo = self._texture(box, MATERIALS[item.material], u, v, item.tint)
        if item.kind == "car":
            albedo = albedo * _windows(item, u, v)
        elif item.label == BUILDING:
            albedo, height = _roof_things(item, u, v, albedo, height)
        self._fill(box, mask, albedo)
        self.height[box][mask] = height[mask]
        self.label[box][mask] = item.label


def _pattern(name: str, u: FloatArray, v: FloatArray) -> FloatArray:
    if name == "tiles":
        return 1 - 0.10 * ((v / 0.36) % 1 < 0.3) - 0.04 * ((u / 0.9) % 1 < 0.15)
    if name == "slabs":
        return 1 - 0.08 * (((v / 1.0) % 1 < 0.12) | ((u / 1.0) % 1 < 0.12))
    if name == "mown":
        return 1 + 0.035 * np.where((u / 1.3) % 2 < 1, 1, -1) * np.ones_like(v)
    if name == "rows":
        return 1 - 0.22 * ((u / 0.7) % 1 < 0.45) * np.ones_like(v)
    if name == "lanes":
        return 1 + 0.9 * (((v / 3.5) % 1 < 0.035) | ((u / 7.0) % 1 < 0.015))
    return np.ones_like(u + v)


def _surface(
    item: Item, u: FloatArray, v: FloatArray, noise: dict[int, FloatArray]
) -> tuple[FloatArray, np.ndarray]:
    a, b = item.length / 2, item.width / 2
    inside = (abs(u) < a) & (abs(v) < b)
    if item.kind == "gable":
        return item.height + 0.75 * (b - abs(v)), inside
    if item.kind == "hip":
        return item.height + 0.65 * np.minimum(b - abs(v), a - abs(u)), inside
    if item.kind == "flat":
        rim = (a - abs(u) < 0.35) | (b - abs(v) < 0.35)
        return item.height + 0.35 * rim, inside
    if item.kind == "car":
        rounded = (abs(u) / a) ** 4 + (abs(v) / b) ** 4 < 1
        cabin = (abs(u + 0.1 * a) < 0.55 * a) & (abs(v) < 0.85 * b)
        return np.where(cabin, item.height, 0.65 * item.height), rounded
    radius = (u / a) ** 2 + (v / b) ** 2
    if item.kind in ("crown", "cone", "heap"):
        bumps = np.clip(0.26 * noise[20] + 0.12 * noise[6], -0.35, 0.7)
        edge = radius * (1 + np.minimum(radius, 1) * (0.5 if item.kind == "heap" else 1.0) * bumps)
        soft = np.clip((radius + edge) / 2, 0, 1)
        dome = np.sqrt(1 - soft) if item.kind == "crown" else 1 - np.sqrt(soft)
        crown = item.height * ((0.55 if item.kind == "crown" else 0.15) * (1 - dome) + dome)
        return np.clip(crown * (1 + 0.03 * noise[20] + 0.03 * noise[6]), 0.1, None), edge < 1
    if item.kind == "hedge":
        return item.height * (1 + 0.12 * noise[20] + 0.1 * noise[6]), (abs(u) < a + 0.1 * noise[20]) & (
            abs(v) < b + 0.12 * noise[20]
        )
    return np.full(inside.shape, item.height), inside


def _windows(item: Item, u: FloatArray, v: FloatArray) -> FloatArray:
    a, b = item.length / 2, item.width / 2
    front = (abs(u - 0.38 * a) < 0.12 * a) & (abs(v) < 0.8 * b)
    rear = (abs(u + 0.62 * a) < 0.09 * a) & (abs(v) < 0.78 * b)
    sides = (abs(u + 0.1 * a) < 0.45 * a) & (abs(v) > 0.8 * b)
    return 1 - 0.62 * (front | rear) - 0.4 * sides


def _roof_things(
    item: Item, u: FloatArray, v: FloatArray, albedo: FloatArray, height: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Chimneys, skylights, solar panels, vents: what makes roofs less even."""
    rng = np.random.default_rng(item.seed)
    a, b = item.length / 2, item.width / 2
    big = item.length * item.width > 150
    for _ in range(int(rng.integers(6, 14)) if big else int(rng.integers(0, 4))):
        cu, cv = rng.uniform(-0.8, 0.8) * a, rng.uniform(-0.75, 0.75) * b
        du, dv, bright, up = ((0.35, 0.3, 0.6, 0.9), (0.6, 0.45, 1.9, 0.05), (1.5, 1.0, 1.3, 1.4))[
            int(rng.integers(3 if big else 2))
        ]
        part = (abs(u - cu) < du) & (abs(v - cv) < dv)
        albedo = np.where(part, albedo * bright, albedo)
        height = height + up * part
    if rng.random() < 0.22:
        cu, side = rng.uniform(-0.3, 0.3) * a, 1 if rng.random() < 0.5 else -1
        panel = (abs(u - cu) < 0.5 * a) & (abs(v - side * 0.5 * b) < 0.32 * b)
        lines = ((u / 1.0) % 1 < 0.1) | ((v / 1.65) % 1 < 0.06)
        dark = np.array((0.12, 0.13, 0.17))[:, None, None] * (1 + 0.8 * lines)
        albedo = np.where(panel, dark, albedo)
    return albedo, height
