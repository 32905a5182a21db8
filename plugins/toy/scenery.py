"""Things that many classes of scene share: ground, roads, trees, cars, houses, buildings.

They are shared on purpose: what tells one class from another is how they are arranged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .canvas import Box, Canvas, Chance, Colour, Disc, Material, Point, moved, shaded

PAINT: Colour = (232, 232, 222)  # markings of roads and courts
CAR_PAINTS: tuple[Colour, ...] = (
    (226, 226, 222), (186, 188, 190), (44, 46, 50), (104, 108, 112), (146, 38, 34), (44, 62, 110)
)  # fmt: skip
ROOFS: dict[str, tuple[Colour, ...]] = {
    "red": ((160, 84, 62), (172, 98, 72), (148, 78, 60)),
    "gray": ((128, 128, 132), (104, 106, 112), (140, 138, 136)),
}
WATERS: dict[str, Colour] = {"blue": (44, 92, 128), "green": (62, 102, 88)}
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

    def anywhere(self, count: int) -> list[Point]:
        """Places all over what the camera may see."""
        reach = 0.75 * self.view
        return [(self.chance.between(-reach, reach), self.chance.between(-reach, reach)) for _ in range(count)]

    def near(self, colour: Colour, amount: float = 0.08) -> Colour:
        """A colour like this one."""
        return shaded(colour, self.chance.between(1 - amount, 1 + amount))

    def across(self, middle: float, wander: float, amount: float = 1.0) -> list[Point]:
        """A winding course from the left edge to the right, around y = ``middle``, by about ``wander`` metres."""
        phases = [self.chance.between(0, 6.283) for _ in range(2)]
        steps = [0.8 * self.view * step / 10 for step in range(-10, 11)]
        return [
            (
                x,
                middle
                + wander * (math.sin(4 * x / self.view + phases[0]) + 0.4 * math.sin(9 * x / self.view + phases[1])),
            )
            for x in steps
        ]


GRASS = Material((104, 118, 66), 0.35)
LAWN = Material((92, 128, 64), 0.22)
SOIL = Material((158, 130, 96), 0.3)
ASPHALT = Material((112, 112, 116), 0.16, True)
CONCRETE = Material((176, 174, 164), 0.14, True)
SAND = Material((212, 190, 150), 0.14, True)


def water(site: Site) -> Material:
    """The water of the scene."""
    return Material(site.near(WATERS[site.attributes["water"]]), 0.12)


def ground(site: Site, material: Material) -> None:
    """Cover everything, with some patches of another surface."""
    site.canvas.cover(material._replace(colour=site.near(material.colour)))
    other = SOIL if material != SOIL else GRASS
    for place in site.anywhere(3):
        site.canvas.area(blob(site, place, site.chance.between(0.06, 0.16) * site.view), other)


def blob(site: Site, centre: Point, radius: float) -> list[Point]:
    """The corners of a patch with a natural edge."""
    return [moved(centre, 0.349 * step, radius * site.chance.between(0.75, 1.25)) for step in range(18)]


def trees(site: Site, places: Iterable[Point], low: float = 2.2, high: float = 4.5) -> None:
    """Crowns, each with its lit side."""
    crowns = [
        Disc(place, site.chance.between(low, high), shaded((58, 84, 44), site.chance.between(0.7, 1.2)))
        for place in places
    ]
    site.canvas.discs(crowns, height=low + high)
    x, y = site.canvas.shadow
    site.canvas.discs(
        [
            Disc((at[0] - 0.3 * radius * x, at[1] - 0.3 * radius * y), 0.55 * radius, shaded(colour, 1.3))
            for at, radius, colour in crowns
        ]
    )


def cars(site: Site, places: Iterable[Point], angle: float) -> None:
    """Cars along an angle, each with its dark windscreen."""
    parked = [Box(place, 4.6, 2.1, angle, site.chance.pick(CAR_PAINTS)) for place in places]
    site.canvas.boxes(parked, height=1.5)
    site.canvas.boxes([Box(moved(car.centre, angle, 0.6), 1.4, 1.8, angle, shaded(car.colour, 0.4)) for car in parked])


def houses(site: Site, places: Iterable[Point], angle: float, low: float = 10.0, high: float = 14.0) -> None:
    """Houses with gable roofs: one slope in the light."""
    kinds = ROOFS[site.attributes.get("roofs", "gray")]
    homes = [
        Box(
            place, site.chance.between(low, high), site.chance.between(0.65, 0.75) * low, angle,
            site.near(site.chance.pick(kinds)),
        )
        for place in places
    ]  # fmt: skip
    site.canvas.boxes(homes, height=4.5)
    site.canvas.boxes(
        [
            home._replace(
                centre=moved(home.centre, angle, 0, home.width / 4),
                width=home.width / 2,
                colour=shaded(home.colour, 1.25),
            )
            for home in homes
        ]
    )


def buildings(site: Site, places: Iterable[Point], angle: float) -> None:
    """Large flat roofs with a parapet."""
    blocks = [
        Box(place, site.chance.between(16, 27), site.chance.between(11, 16), angle, site.near((186, 182, 174), 0.15))
        for place in places
    ]
    site.canvas.boxes(blocks, height=9.0)
    site.canvas.boxes(
        [b._replace(length=b.length - 2.4, width=b.width - 2.4, colour=shaded(b.colour, 0.85)) for b in blocks]
    )


def road(site: Site, place: Point, angle: float, width: float, traffic: int = 3) -> None:
    """A straight road across the picture, with its middle line and some cars."""
    reach = 0.9 * site.view
    ends = [moved(place, angle, -reach), moved(place, angle, reach)]
    site.canvas.strip(ends, width + 3.0, CONCRETE)
    site.canvas.strip(ends, width, ASPHALT)
    for step in range(-8, 9):
        dash = [moved(place, angle, (step + part) * reach / 9) for part in (0.0, 0.4)]
        site.canvas.line(dash, 0.4, PAINT)
    cars(site, lane(site, place, angle, width, traffic), angle)


def lane(site: Site, place: Point, angle: float, width: float, count: int) -> list[Point]:
    """Places of cars on both lanes of a road."""
    reach = 0.7 * site.view
    return [
        moved(place, angle, site.chance.between(-reach, reach), site.chance.pick((-1, 1)) * width / 4)
        for _ in range(count)
    ]


def beside(site: Site, offset: float) -> None:
    """What the attribute ``near`` names, from about y = ``offset`` on, but always within the view."""
    offset, view, chance = min(offset, 0.34 * site.view), site.view, site.chance
    place = (0.0, offset)

    def row(step: float, depth: float) -> list[Point]:
        count = int(0.75 * view / step)
        return [(at * step + chance.between(-2, 2), offset + depth) for at in range(-count, count + 1)]

    def buildings_in_a_row() -> None:
        site.canvas.area(rows_of(place, view), CONCRETE)
        buildings(site, row(31, 12), EAST)

    draw: dict[str, Callable[[], None]] = {
        "a road": lambda: road(site, (0.0, offset + 6), EAST, 8.0, chance.whole(1, 4)),
        "trees": lambda: trees(
            site, [(chance.between(-0.7, 0.7) * view, offset + chance.between(3, 0.25 * view)) for _ in range(26)]
        ),
        "buildings": buildings_in_a_row,
        "bare land": lambda: site.canvas.area(rows_of(place, view), SOIL),
        "a lawn": lambda: site.canvas.area(rows_of(place, view), LAWN),
    }
    draw[site.attributes["near"]]()


def rows_of(place: Point, view: float) -> list[Point]:
    """The corners of everything beyond a place, to the north."""
    return [(-view, place[1]), (view, place[1]), (view, view), (-view, view)]
