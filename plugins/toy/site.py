"""The place that a layout works on: the canvas, the source of chance, the materials and the scene's attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .canvas import Canvas, Material, Vector, unit

EAST, NORTH = np.array([1.0, 0.0]), np.array([0.0, 1.0])
ORIGIN = np.zeros(2)

_SEASONS = {  # (grass, trees, crop)
    "lush": ((0.34, 0.43, 0.22), (0.17, 0.28, 0.13), (0.30, 0.44, 0.17)),
    "dry": ((0.57, 0.52, 0.35), (0.31, 0.32, 0.18), (0.66, 0.58, 0.33)),
}
_WATERS = {"blue": (0.16, 0.33, 0.44), "green": (0.25, 0.38, 0.31), "dark": (0.13, 0.19, 0.22)}


@dataclass(frozen=True)
class Palette:
    """The materials of one scene. `lawn` is watered grass, green in every season."""

    grass: Material
    lawn: Material
    soil: Material
    tree: tuple[float, float, float]
    crop: Material
    water: Material
    sand: Material
    asphalt: Material
    concrete: Material


@dataclass(frozen=True)
class Site:
    """What a layout works with: the canvas, the source of chance, the materials and the scene's attributes."""

    canvas: Canvas
    rng: np.random.Generator
    palette: Palette
    attributes: Mapping[str, str | int]

    def between(self, low: float, high: float) -> float:
        """A random number in [low, high)."""
        return low + (high - low) * self.rng.random()

    def spread(self, count: int, low: float, high: float) -> np.ndarray:
        """`count` random numbers in [low, high), float64."""
        return low + (high - low) * self.rng.random(count)

    def direction(self) -> Vector:
        """A random unit vector."""
        return unit(self.between(0.0, 6.283))

    def pick(self, options, count: int | None = None):
        """One random option, or an array of `count` of them."""
        return (
            options[int(self.rng.integers(len(options)))]
            if count is None
            else options[self.rng.integers(len(options), size=count)]
        )

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def anywhere(self, count: int) -> np.ndarray:
        """(count, 2) places spread over all that the camera may see, metres."""
        return (self.rng.random((count, 2)) - 0.5) * (1.5 * self.canvas.view)


def make_palette(rng: np.random.Generator, season: str, water: str) -> Palette:
    """Materials of a season, each shifted a little so that no two scenes have the same grass."""

    def near(colour, amount=0.035):
        common = amount * (2 * rng.random() - 1)
        return tuple(round(value + common + amount * (rng.random() - 0.5), 4) for value in colour)

    grass, tree, crop = _SEASONS[season]
    soil = (0.60, 0.49, 0.37) if season == "dry" else (0.53, 0.43, 0.32)
    grey = 0.40 + 0.20 * rng.random()
    return Palette(
        grass=Material(near(grass), 0.10, 0.08),
        lawn=Material(near((0.36, 0.48, 0.24)), 0.06, 0.05),
        soil=Material(near(soil, 0.06), 0.10, 0.06),
        tree=near(tree),
        crop=Material(near(crop, 0.06), 0.06, 0.04),
        water=Material(near(_WATERS[water]), 0.06, 0.03),
        sand=Material(near((0.80, 0.72, 0.57), 0.05), 0.05, 0.04),
        asphalt=Material((grey, grey, grey + 0.01), 0.05, 0.04),
        concrete=Material(near((0.70, 0.69, 0.65), 0.05), 0.04, 0.04),
    )


class Layout(NamedTuple):
    """How to lay a class out, and how many metres the camera sees across at zoom 1."""

    draw: Callable[[Site], None]
    view: float


def grid(columns: int, rows: int, step: tuple[float, float]) -> np.ndarray:
    """(columns * rows, 2) places of a centred grid, metres, row by row."""
    across, up = np.meshgrid(np.arange(columns) - (columns - 1) / 2, np.arange(rows) - (rows - 1) / 2)
    return np.stack([across.ravel() * step[0], up.ravel() * step[1]], axis=1)
