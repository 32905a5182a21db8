"""How each class of scene is laid out.

A layout may use fixed axes, since the camera turns, shifts and zooms at random. It obeys the scene's attributes, so
that a caption which names them is true of the picture. Lengths are metres around the origin, y to the north.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import scenery
from .canvas import Box, Colour, Disc, Material, Point, moved, rectangle, shaded
from .scenery import ASPHALT, CONCRETE, EAST, GRASS, LAWN, NORTH, ORIGIN, PAINT, SAND, SOIL, Site


class Layout(NamedTuple):
    """How to lay a class out, and how many metres the camera sees across."""

    draw: Callable[[Site], None]
    view: float


def beach(site: Site) -> None:
    """Sea, surf, sand and what stands behind it."""
    view, chance = site.view, site.chance
    scenery.ground(site, GRASS)
    scenery.beside(site, 0.3 * view)
    shore = site.across(chance.between(-0.1, 0.1) * view, 0.04 * view)
    far = [(view, -view), (-view, -view)]

    def towards(north: float) -> list[Point]:
        return [(x, y + north * view) for x, y in shore]

    site.canvas.area([*towards(chance.between(0.2, 0.34)), *far], SAND)
    sea = scenery.water(site)
    site.canvas.area([*towards(0.02), *far], Material(shaded(SAND.colour, 0.8), 0.1))
    site.canvas.area([*shore, *far], Material(shaded(sea.colour, 1.3), 0.12))
    site.canvas.area([*towards(-0.12), *far], sea)
    for wave in range({"calm": 1, "rough": 4}[site.attributes["sea"]]):
        site.canvas.strip(towards(-0.01 - 0.07 * wave), chance.between(1.5, 3.0), Material((232, 236, 234), 0.1, True))
    if site.attributes["crowd"] == "many people":
        places = [(x, y + chance.between(0.04, 0.18) * view) for x, y in shore for _ in range(2)]
        shades: list[Colour] = [(214, 60, 54), (60, 98, 178), (238, 238, 230), (228, 190, 62)]
        site.canvas.discs([Disc(place, 1.8, chance.pick(shades)) for place in places], height=1.5)


def residential(site: Site) -> None:
    """Plots along parallel streets, nearly all of them built upon or few."""
    view, chance = site.view, site.chance
    dense = site.attributes["houses"] == "many"
    scenery.ground(site, LAWN if dense else GRASS)
    block, plot = chance.between(42, 50), chance.between(13, 16)
    share = chance.between(0.8, 1.0) if dense else chance.between(0.15, 0.4)
    start, columns = chance.between(-0.5, 0.5) * block, int(0.75 * view / plot)
    streets = [start + block * number for number in range(-2, 3)]
    for street in streets:
        scenery.road(site, (0.0, street), EAST, 6.5, traffic=4 if dense else 1)
    plots = [
        (column * plot + chance.between(-1, 1), street + side * 12 + chance.between(-1, 1))
        for street in streets
        for side in (-1, 1)
        for column in range(-columns, columns + 1)
    ]
    built = [chance.random() < share for _ in plots]
    scenery.houses(site, [place for place, house in zip(plots, built, strict=True) if house], EAST)
    green = {"few trees": 0.2, "many trees": 0.7}[site.attributes["trees"]]
    empty = [place for place, house in zip(plots, built, strict=True) if not house and chance.random() < green]
    behind = [
        (chance.between(-0.7, 0.7) * view, street + block / 2) for street in streets for _ in range(int(12 * green))
    ]
    scenery.trees(site, [*empty, *behind], 1.8, 3.6)


def farmland(site: Site) -> None:
    """Fields of several crops, ploughed in rows, between tracks."""
    view, chance = site.view, site.chance
    site.canvas.cover(GRASS)
    columns, rows = {"two": (2, 1), "four": (2, 2), "six": (3, 2)}[site.attributes["fields"]]
    crops: tuple[Colour, ...] = ((126, 146, 70), (170, 156, 92), (150, 118, 84), (98, 128, 62))
    wide, high = 1.5 * view / columns, 1.5 * view / rows
    for number in range(columns * rows):
        x, y = (number % columns - (columns - 1) / 2) * wide, (number // columns - (rows - 1) / 2) * high
        colour = site.near(crops[(number + chance.whole(0, 1)) % len(crops)])
        site.canvas.area(rectangle((x, y), wide - 5, high - 5, EAST), Material(colour, 0.12))
        angle = chance.pick((EAST, NORTH))
        length, width = (wide - 5, high - 5) if angle == EAST else (high - 5, wide - 5)
        step = chance.between(0.035, 0.05) * view
        for furrow in range(int(width / 2 / step) * 2):
            middle = moved((x, y), angle, 0, (furrow + 0.5) * step - int(width / 2 / step) * step)
            site.canvas.line(
                [moved(middle, angle, -length / 2), moved(middle, angle, length / 2)], 0.4 * step, shaded(colour, 0.8)
            )
    for column in range(1, columns):
        site.canvas.strip([((column - columns / 2) * wide, -view), ((column - columns / 2) * wide, view)], 3.5, SOIL)
    scenery.beside(site, 0.34 * view)


def forest(site: Site) -> None:
    """Crowns that nearly close over the ground."""
    view, chance = site.view, site.chance
    scenery.ground(site, GRASS)
    dense = site.attributes["cover"] == "dense"
    site.canvas.cover(Material((48, 66, 38), 0.3) if dense else GRASS)
    pitch = (0.066 if dense else 0.082) * view
    places = [
        ((column + chance.between(-0.4, 0.4)) * pitch, (row + chance.between(-0.4, 0.4)) * pitch)
        for row in range(-11, 12)
        for column in range(-11, 12)
    ]
    scenery.trees(site, places, 0.5 * pitch, 0.72 * pitch)
    if site.attributes["near"] != "trees":
        scenery.beside(site, chance.between(0.26, 0.36) * view)


def harbor(site: Site) -> None:
    """A quay with piers, and boats moored on both sides of them."""
    view, chance = site.view, site.chance
    site.canvas.cover(scenery.water(site))
    quay = chance.between(0.2, 0.3) * view
    site.canvas.area(scenery.rows_of((0.0, quay), view), CONCRETE)
    scenery.beside(site, quay + 6)
    docks, boats = {"two": 2, "three": 3}[site.attributes["docks"]], {"several": 5, "many": 9}[site.attributes["boats"]]
    hulls: list[Box] = []
    for dock in range(docks):
        x = (dock - (docks - 1) / 2) * 30 + chance.between(-2, 2)
        site.canvas.boxes([Box((x, quay - 0.4 * view), 0.8 * view, 2.6, NORTH, (168, 156, 140))], height=1.5)
        for row in range(boats):
            for side in (-1, 1):
                colour = site.near((232, 232, 228))
                hulls.append(Box((x + side * 7, quay - 8 - 7 * row), chance.between(8, 11), 3.2, EAST, colour))
    site.canvas.boxes(hulls, height=1.5)
    site.canvas.boxes([hull._replace(length=3.0, width=1.8, colour=(92, 104, 124)) for hull in hulls])


def parking_lot(site: Site) -> None:
    """Double rows of cars in painted bays, with aisles between."""
    view, chance = site.view, site.chance
    scenery.ground(site, GRASS)
    side = chance.between(0.26, 0.34) * view
    site.canvas.area([(-view, side), (view, side), (view, -view), (-view, -view)], ASPHALT)
    scenery.beside(site, side + 2)
    share = {"many": 0.93, "some": 0.5}[site.attributes["filled"]]
    bays = int(0.7 * view / 2.9)
    taken = []
    for number in range(int(1.1 * view / 17.5)):
        for row in (0, 1):
            y = side - 5 - number * 17.5 - row * 5.4
            for bay in range(-bays, bays):
                site.canvas.line([(bay * 2.9 - 1.45, y - 2.6), (bay * 2.9 - 1.45, y + 2.6)], 0.3, PAINT)
                if chance.random() < share:
                    taken.append((bay * 2.9, y))
        if site.attributes["islands"] == "trees":
            scenery.trees(site, [(0.2 * view * at, side - 7.7 - number * 17.5) for at in range(-3, 4)], 1.6, 2.6)
    scenery.cars(site, taken, NORTH)


def river(site: Site) -> None:
    """A winding river between banks, perhaps under a bridge."""
    view, chance = site.view, site.chance
    scenery.ground(site, GRASS)
    scenery.beside(site, 0.3 * view)
    course = site.across(0.0, chance.between(0.05, 0.09) * view)
    width = {"narrow": 0.2, "wide": 0.34}[site.attributes["width"]] * view
    site.canvas.strip(course, 1.25 * width, SOIL)
    site.canvas.strip(course, width, scenery.water(site))
    banks = [
        (x, y + side * (width * 0.66 + chance.between(2, 0.14 * view))) for x, y in course for side in (-1, 1, 1, -1)
    ]
    scenery.trees(site, banks, 2.6, 5.0)
    if site.attributes["bridge"] == "a bridge":
        scenery.road(site, (chance.between(-0.2, 0.2) * view, 0.0), chance.between(1.3, 1.8), 8.0, traffic=2)


def runway(site: Site) -> None:
    """A wide strip with its markings, a taxiway and perhaps aircraft."""
    view, chance = site.view, site.chance
    scenery.ground(site, chance.pick((SOIL, GRASS, GRASS)))
    scenery.beside(site, 0.34 * view)
    paving = {"concrete": CONCRETE, "asphalt": ASPHALT}[site.attributes["surface"]]
    width = chance.between(34, 44)
    taxiway = -chance.between(58, 70)
    for y, wide in ((0.0, width), (taxiway, 16.0)):
        site.canvas.strip([(-view, y), (view, y)], wide, paving)
    site.canvas.strip([(0, 0), (30, taxiway)], 14.0, paving)
    site.canvas.line([(-view, taxiway), (view, taxiway)], 0.9, (214, 186, 80))
    site.canvas.line([(-view, 0), (view, 0)], 9.0, (60, 60, 62), alpha=70)
    for step in range(-6, 7):
        site.canvas.line([(step * 30, 0), (step * 30 + 18, 0)], 1.8, PAINT)
    for side in (-1, 1):
        site.canvas.line([(-view, side * (width / 2 - 2)), (view, side * (width / 2 - 2))], 1.2, PAINT)
    bars = chance.between(-0.3, 0.3) * view
    site.canvas.boxes([Box((bars, (at - 3.5) * width / 9), 26, 2.2, EAST, PAINT) for at in range(8)])
    for number in range({"no plane": 0, "a plane": 1, "two planes": 2}[site.attributes["planes"]]):
        _plane(site, ((number - 0.5) * 60 + chance.between(-15, 15), taxiway if number else 0.0), EAST)


def _plane(site: Site, place: Point, nose: float) -> None:
    """An airliner: fuselage, swept wings, tail."""
    paint: Colour = (240, 240, 240)
    parts = [Box(place, 36, 4.4, nose, paint)]
    for side in (-1, 1):
        parts.append(Box(moved(place, nose, -4, side * 8), 18, 4.5, nose + side * 1.9, paint))
        parts.append(Box(moved(place, nose, -16, side * 3), 8, 2.6, nose + side * 1.9, paint))
    site.canvas.boxes(parts, height=4.0)


def storage_tanks(site: Site) -> None:
    """Round tanks on a yard."""
    view, chance, count = site.view, site.chance, {"two": 2, "four": 4, "six": 6, "nine": 9}[site.attributes["tanks"]]
    scenery.ground(site, chance.pick((SOIL, SOIL, GRASS)))
    columns = {2: 2, 4: 2, 6: 3, 9: 3}[count]
    rows = -(-count // columns)
    pitch = (0.36 if count < 6 else 0.27) * view
    site.canvas.area(
        rectangle(ORIGIN, (columns + 0.5) * pitch, (rows + 0.5) * pitch, EAST), chance.pick((CONCRETE, SOIL))
    )
    scenery.beside(site, 0.34 * view)
    colour: Colour = {"white": (232, 232, 226), "gray": (166, 168, 170)}[site.attributes["colour"]]
    tanks = [
        Disc(
            ((at % columns - (columns - 1) / 2) * pitch, (at // columns - (rows - 1) / 2) * pitch - 4),
            pitch * chance.between(0.33, 0.42), shaded(colour, 0.78),
        )
        for at in range(count)
    ]  # fmt: skip
    site.canvas.discs(tanks, height=8.0)
    site.canvas.discs([tank._replace(radius=0.92 * tank.radius, colour=site.near(colour, 0.04)) for tank in tanks])
    site.canvas.discs([tank._replace(radius=0.14 * tank.radius) for tank in tanks])


LAYOUTS = {
    "beach": Layout(beach, 110.0),
    "dense residential": Layout(residential, 110.0),
    "farmland": Layout(farmland, 220.0),
    "forest": Layout(forest, 110.0),
    "harbor": Layout(harbor, 95.0),
    "parking lot": Layout(parking_lot, 75.0),
    "river": Layout(river, 170.0),
    "runway": Layout(runway, 180.0),
    "sparse residential": Layout(residential, 110.0),
    "storage tanks": Layout(storage_tanks, 110.0),
}
