"""A canvas in metres for scenes seen from above, drawn with Pillow.

The same picture everywhere: chance is Python's ``random()``, whose sequence is promised not to change; shapes have
whole pixels as corners; and Pillow blends in integers.

Lengths are metres in the world and pixels on the canvas, colours sRGB from 0 to 255, angles radians from the x axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
    colour: Colour


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

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int((high - low + 1) * self.random())

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


def rectangle(centre: Point, length: float, width: float, angle: float) -> list[Point]:
    """The four corners."""
    return [
        moved(centre, angle, along * length / 2, across * width / 2)
        for along, across in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]


class Canvas:
    """The picture being painted, with its camera and its sun.

    Args:
        side: Pixels across.
        view: Metres across.
        centre: What the camera looks at.
        angle: How the camera is turned.
        sun: Angle of the shadows.
        throw: Metres of shadow for a metre of height.
        chance: Where the noise of each surface is cut from.
    """

    def __init__(
        self, side: int, view: float, centre: Point, angle: float, sun: float, throw: float, chance: Chance
    ) -> None:
        self.side, self.view, self.centre, self.chance = side, view, centre, chance
        self.cosine, self.sine, self.scale = math.cos(angle), math.sin(angle), side / view
        self.shadow = moved((0.0, 0.0), sun, throw)
        self.picture = Image.new("RGB", (side, side))
        self.pen = ImageDraw.Draw(self.picture, "RGBA")

    def pixel(self, place: Point) -> tuple[int, int]:
        """Where a place lies on the canvas."""
        right, down = place[0] - self.centre[0], place[1] - self.centre[1]
        return (
            round((self.cosine * right - self.sine * down) * self.scale + self.side / 2),
            round((self.sine * right + self.cosine * down) * self.scale + self.side / 2),
        )

    def cover(self, material: Material) -> None:
        """Paint everything."""
        self.picture.paste(self._surface(material))

    def area(self, corners: Iterable[Point], material: Material) -> None:
        """Paint a polygon with a surface."""
        mask = Image.new("L", self.picture.size)
        ImageDraw.Draw(mask).polygon([self.pixel(corner) for corner in corners], fill=255)
        self.picture.paste(self._surface(material), mask=mask)

    def strip(self, course: Sequence[Point], width: float, material: Material) -> None:
        """Paint a band along a course with a surface."""
        mask = Image.new("L", self.picture.size)
        pixels = [self.pixel(place) for place in course]
        ImageDraw.Draw(mask).line(pixels, fill=255, width=max(1, round(width * self.scale)), joint="curve")
        self.picture.paste(self._surface(material), mask=mask)

    def line(self, course: Sequence[Point], width: float, colour: Colour, alpha: int = 255) -> None:
        """Draw a line in one colour."""
        pixels = [self.pixel(place) for place in course]
        self.pen.line(pixels, fill=(*colour, alpha), width=max(1, round(width * self.scale)))

    def boxes(self, boxes: Sequence[Box], height: float = 0.0) -> None:
        """Draw rectangles after the shadows of all of them."""
        if height:
            for box in boxes:
                foot = rectangle(*box[:4])
                self.pen.polygon(
                    [self.pixel((x + height * self.shadow[0], y + height * self.shadow[1])) for x, y in foot], _SHADOW
                )
        for box in boxes:
            self.pen.polygon([self.pixel(corner) for corner in rectangle(*box[:4])], box.colour)

    def discs(self, discs: Sequence[Disc], height: float = 0.0) -> None:
        """Draw discs after the shadows of all of them."""
        if height:
            for disc in discs:
                x, y = disc.centre
                self._ellipse((x + height * self.shadow[0], y + height * self.shadow[1]), disc.radius, _SHADOW)
        for disc in discs:
            self._ellipse(disc.centre, disc.radius, (*disc.colour, 255))

    def photograph(self, exposure: float, haze: float, warmth: float, noise: int) -> Image.Image:
        """The picture in half its size, as a camera sees it.

        Args:
            exposure: Factor of the brightness.
            haze: Share of white air, 0 to 1.
            warmth: By how much red is raised and blue lowered.
            noise: Levels of the sensor's noise.
        """
        small = self.picture.reduce(SUPERSAMPLE)
        table: list[int] = []
        for tint in (1 + warmth, 1.0, 1 - warmth):
            table += [min(255, round((1 - haze) * level * exposure * tint + haze * 190)) for level in range(256)]
        grains = ImageOps.colorize(self._noise(True, small.width), (128 - noise,) * 3, (128 + noise,) * 3)
        return ImageChops.add(small.point(table), grains, offset=-128)

    def _ellipse(self, centre: Point, radius: float, fill: tuple[int, int, int, int]) -> None:
        x, y = self.pixel(centre)
        reach = max(1, round(radius * self.scale))
        self.pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill)

    def _noise(self, grain: bool, side: int) -> Image.Image:
        left, top = self.chance.whole(0, _TILE - side), self.chance.whole(0, _TILE - side)
        return _noise_tile(grain).crop((left, top, left + side, top + side))

    def _surface(self, material: Material) -> Image.Image:
        dark, light = (shaded(material.colour, 1 + sign * material.contrast) for sign in (-1, 1))
        return ImageOps.colorize(self._noise(material.grain, self.side), dark, light)


@cache
def _noise_tile(grain: bool) -> Image.Image:
    """Grey noise around 128, of single pixels and small spots or of patches."""
    chance = Random(f"noise {grain}")

    def layer(cells: int) -> Image.Image:
        levels = bytes(int(256 * chance.random()) for _ in range(cells * cells))
        return Image.frombytes("L", (cells, cells), levels).resize((_TILE, _TILE), Image.Resampling.BICUBIC)

    coarse, fine = (128, 512) if grain else (24, 96)
    return Image.blend(layer(coarse), layer(fine), 0.4)
