"""A canvas in metres for scenes seen from above, drawn with Pillow.

The same picture everywhere: chance is Python's ``random()``, whose sequence is promised not to change, shapes have
whole pixels as corners, and Pillow blends in integers. Lengths are metres in the world and pixels on the canvas,
colours sRGB from 0 to 255, angles radians from the x axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import NamedTuple, TypeVar

from PIL import Image, ImageChops, ImageDraw, ImageOps

SUPERSAMPLE = 2
_TILE = 512  # pixels across the noise that all scenes cut theirs from
_SHADOW = (24, 28, 40, 120)

Point = tuple[float, float]
Colour = tuple[int, int, int]
Option = TypeVar("Option")


class Material(NamedTuple):
    """A surface: mean colour, by how much its brightness varies, and whether in grains or in patches."""

    colour: Colour
    contrast: float
    grain: bool = False


class Box(NamedTuple):
    """A rectangle of a length along ``angle``, and a width."""

    centre: Point
    length: float
    width: float
    angle: float
    colour: Colour = (0, 0, 0)

    def corners(self) -> list[Point]:
        """All four."""
        half = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
        return [moved(self.centre, self.angle, along * self.length, across * self.width) for along, across in half]


class Disc(NamedTuple):
    """A disc."""

    centre: Point
    radius: float
    colour: Colour


class Chance(Random):
    """The source of chance of one scene; only ``random`` of it is drawn from."""

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.random()

    def pick(self, options: Sequence[Option]) -> Option:
        """One of the options."""
        return options[int(len(options) * self.random())]


def shaded(colour: Colour, factor: float) -> Colour:
    """A brighter or darker colour."""
    red, green, blue = (min(255, max(0, round(level * factor))) for level in colour)
    return red, green, blue


def moved(place: Point, angle: float, along: float, across: float = 0.0) -> Point:
    """The place that many metres along an angle, and to the left of it."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return place[0] + along * cosine - across * sine, place[1] + along * sine + across * cosine


class Canvas:
    """The picture being painted: ``side`` pixels and ``view`` metres across, seen by a camera at an angle.

    ``shadow`` is the shadow of something a metre high. ``chance`` says where the noise of each surface is cut from.
    """

    def __init__(self, side: int, view: float, centre: Point, angle: float, shadow: Point, chance: Chance) -> None:
        self.side, self.view, self.centre = side, view, centre
        self.angle, self.shadow, self.chance = angle, shadow, chance
        self.picture = Image.new("RGB", (side, side))
        self.pen = ImageDraw.Draw(self.picture, "RGBA")

    def pixels(self, places: Sequence[Point], height: float = 0.0) -> list[tuple[int, int]]:
        """Where places lie on the canvas, or their shadows from a height."""
        x, y = height * self.shadow[0] - self.centre[0], height * self.shadow[1] - self.centre[1]
        turned = [moved((0.0, 0.0), self.angle, place[0] + x, place[1] + y) for place in places]
        scale, middle = self.side / self.view, self.side / 2
        return [(round(right * scale + middle), round(down * scale + middle)) for right, down in turned]

    def thick(self, metres: float) -> int:
        """A width in pixels, at least one."""
        return max(1, round(metres * self.side / self.view))

    def area(self, corners: Sequence[Point], material: Material) -> None:
        """Paint a polygon with a surface."""
        mask = Image.new("L", self.picture.size)
        ImageDraw.Draw(mask).polygon(self.pixels(corners), fill=255)
        self.cover(material, mask)

    def strip(self, course: Sequence[Point], width: float, material: Material) -> None:
        """Paint a band along a course with a surface."""
        mask = Image.new("L", self.picture.size)
        ImageDraw.Draw(mask).line(self.pixels(course), fill=255, width=self.thick(width), joint="curve")
        self.cover(material, mask)

    def line(self, course: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line in one colour."""
        self.pen.line(self.pixels(course), fill=colour, width=self.thick(width))

    def boxes(self, boxes: Sequence[Box], height: float = 0.0) -> None:
        """Draw rectangles, after the shadows of all of them."""
        shadows = [(box, height, _SHADOW) for box in boxes if height]
        for box, lift, fill in [*shadows, *((box, 0.0, box.colour) for box in boxes)]:
            self.pen.polygon(self.pixels(box.corners(), lift), fill)

    def discs(self, discs: Sequence[Disc], height: float = 0.0) -> None:
        """Draw discs, after the shadows of all of them."""
        shadows = [(disc, height, _SHADOW) for disc in discs if height]
        for disc, lift, fill in [*shadows, *((disc, 0.0, disc.colour) for disc in discs)]:
            (x, y), reach = self.pixels([disc.centre], lift)[0], self.thick(disc.radius)
            self.pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill)

    def photograph(self, exposure: float, haze: float, warmth: float, noise: int) -> Image.Image:
        """The picture in half its size, as a camera sees it.

        Brightness is multiplied by ``exposure``, a share ``haze`` is white air, red is raised and blue lowered by a
        share ``warmth``, and the sensor adds up to ``noise`` levels.
        """
        small = self.picture.reduce(SUPERSAMPLE)
        tints = ((1 - haze) * exposure * tint for tint in (1 + warmth, 1.0, 1 - warmth))
        table = [min(255, round(level * tint + haze * 190)) for tint in tints for level in range(256)]
        grains = ImageOps.colorize(self._noise(True, small.width), (128 - noise,) * 3, (128 + noise,) * 3)
        return ImageChops.add(small.point(table), grains, offset=-128)

    def _noise(self, grain: bool, side: int) -> Image.Image:
        left, top = (int((_TILE - side) * self.chance.random()) for _ in range(2))
        return _noise_tile(grain).crop((left, top, left + side, top + side))

    def cover(self, material: Material, mask: Image.Image | None = None) -> None:
        """Paint everything with a surface, or what a mask shows."""
        dark, light = (shaded(material.colour, 1 + sign * material.contrast) for sign in (-1, 1))
        self.picture.paste(ImageOps.colorize(self._noise(material.grain, self.side), dark, light), mask=mask)


@cache
def _noise_tile(grain: bool) -> Image.Image:
    """Grey noise around 128, of single pixels and small spots or of patches."""
    chance = Random(f"noise {grain}")

    def layer(cells: int) -> Image.Image:
        levels = bytes(int(256 * chance.random()) for _ in range(cells * cells))
        return Image.frombytes("L", (cells, cells), levels).resize((_TILE, _TILE), Image.Resampling.BICUBIC)

    coarse, fine = (128, 512) if grain else (24, 96)
    return Image.blend(layer(coarse), layer(fine), 0.4)
