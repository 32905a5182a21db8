"""Things that many classes of scene share, on purpose: what tells classes apart is how they are arranged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .canvas import Box, Canvas, Chance, Colour, Disc, Material, Point, moved, shaded

PAINT: Colour = (232, 232, 222)  # markings of roads
CAR_PAINTS: tuple[Colour, ...] = ((226, 226, 222), (186, 188, 190), (44, 46, 50), (104, 108, 112), (146, 38, 34))
ROOFS: dict[str, Colour] = {"red": (160, 84, 62), "gray": (122, 122, 126)}
WATERS: dict[str, Colour] = {"blue": (44, 92, 128), "green": (62, 102, 88)}
GRASS, LAWN = Material((104, 118, 66), 0.35), Material((92, 128, 64), 0.22)
SOIL, SAND = Material((158, 130, 96), 0.3), Material((212, 190, 150), 0.14, True)
ASPHALT, CONCRETE = Material((112, 112, 116), 0.16, True), Material((176, 174, 164), 0.14, True)
EAST, NORTH = 0.0, math.pi / 2
ORIGIN: Point = (0.0, 0.0)


@dataclass(frozen=True)
class Site:
    """What a layout works with: canvas, chance, and the attributes of the scene."""

    canvas: Canvas
    chance: Chance
    attributes: Mapping[str, str]

    @property
    def view(self) -> float:
        """Metres across the picture."""
        return self.canvas.view

    def near(self, colour: Colour, amount: float = 0.08) -> Colour:
        """A colour like this one."""
        return shaded(colour, self.chance.between(1 - amount, 1 + amount))

    def across(self, middle: float, wander: float) -> list[Point]:
        """A winding course from the left edge to the right around y = ``middle``, by about ``wander`` metres."""
        one, two = self.chance.between(0, 6.283), self.chance.between(0, 6.283)
        steps = [0.08 * step for step in range(-10, 11)]
        waves = [math.sin(4 * step + one) + 0.4 * math.sin(9 * step + two) for step in steps]
        return [(self.view * step, middle + wander * wave) for step, wave in zip(steps, waves, strict=True)]


def water(site: Site) -> Material:
    """The water of the scene."""
    return Material(site.near(WATERS[site.attributes["water"]]), 0.12)


def ground(site: Site, material: Material) -> None:
    """Cover everything, with some patches of another surface."""
    site.canvas.cover(material._replace(colour=site.near(material.colour)))
    for _ in range(3):
        place = (site.chance.between(-0.7, 0.7) * site.view, site.chance.between(-0.7, 0.7) * site.view)
        radius = site.chance.between(0.06, 0.16) * site.view
        edge = [moved(place, 0.349 * step, radius * site.chance.between(0.75, 1.25)) for step in range(18)]
        site.canvas.area(edge, SOIL if material != SOIL else GRASS)


def trees(site: Site, places: Iterable[Point], low: float = 2.2, high: float = 4.5) -> None:
    """Crowns, each with its lit side."""
    chance, (x, y) = site.chance, site.canvas.shadow
    crowns = [Disc(place, chance.between(low, high), site.near((55, 80, 42), 0.25)) for place in places]
    site.canvas.discs(crowns, height=low + high)
    for (right, up), radius, colour in crowns:
        lit = (right - 0.3 * radius * x, up - 0.3 * radius * y)
        site.canvas.discs([Disc(lit, 0.55 * radius, shaded(colour, 1.3))])


def cars(site: Site, places: Iterable[Point], angle: float) -> None:
    """Cars along an angle, each with its dark windscreen."""
    parked = [Box(place, 4.6, 2.1, angle, site.chance.pick(CAR_PAINTS)) for place in places]
    site.canvas.boxes(parked, height=1.5)
    site.canvas.boxes([Box(moved(car.centre, angle, 0.6), 1.4, 1.8, angle, shaded(car.colour, 0.4)) for car in parked])


def houses(site: Site, places: Iterable[Point]) -> None:
    """Houses with gable roofs: one slope in the light."""
    roof = ROOFS[site.attributes["roofs"]]
    homes = [Box(place, site.chance.between(10, 14), 7.0, EAST, site.near(roof, 0.15)) for place in places]
    site.canvas.boxes(homes, height=4.5)
    slopes = [(moved(place, EAST, 0, 1.75), length, shaded(colour, 1.25)) for place, length, _, _, colour in homes]
    site.canvas.boxes([Box(place, length, 3.5, EAST, colour) for place, length, colour in slopes])


def road(site: Site, place: Point, angle: float, width: float, traffic: int = 3) -> None:
    """A straight road across the picture, with its middle line and some cars."""
    reach = 0.9 * site.view
    ends = [moved(place, angle, -reach), moved(place, angle, reach)]
    site.canvas.strip(ends, width + 3.0, CONCRETE)
    site.canvas.strip(ends, width, ASPHALT)
    for step in range(-8, 9):
        site.canvas.line([moved(place, angle, (step + part) * reach / 9) for part in (0.0, 0.4)], 0.4, PAINT)
    spots = [
        (site.chance.between(-0.7, 0.7) * site.view, site.chance.pick((-1, 1)) * width / 4) for _ in range(traffic)
    ]
    cars(site, [moved(place, angle, *spot) for spot in spots], angle)


def beside(site: Site, offset: float) -> None:
    """What the attribute ``near`` names, from about y = ``offset`` on, but always within the view."""
    view, chance, near = site.view, site.chance, site.attributes["near"]
    offset = min(offset, 0.34 * view)
    if near == "a road":
        road(site, (0.0, offset + 6), EAST, 8.0)
    elif near == "trees":
        spots = [(chance.between(-0.7, 0.7) * view, offset + chance.between(3, 0.25 * view)) for _ in range(26)]
        trees(site, spots)
    else:
        site.canvas.area(beyond(offset, view), {"buildings": CONCRETE, "bare land": SOIL, "a lawn": LAWN}[near])
    if near == "buildings":
        places = [(at * 31 + chance.between(-2, 2), offset + 12) for at in range(-4, 5)]
        blocks = [Box(place, chance.between(16, 27), 14, EAST, site.near((186, 182, 174), 0.15)) for place in places]
        site.canvas.boxes(blocks, height=9.0)
        site.canvas.boxes([Box(at, long - 2.4, 11.6, EAST, shaded(roof, 0.85)) for at, long, _, _, roof in blocks])


def beyond(offset: float, view: float) -> list[Point]:
    """The corners of everything to the north of y = ``offset``."""
    return [(-view, offset), (view, offset), (view, view), (-view, view)]
