"""How each class of scene is laid out.

A layout may use fixed axes, since the camera turns, shifts and zooms at random. It obeys the scene's attributes, which
captions name. Lengths are metres around the origin, y to the north.
"""

from __future__ import annotations

from collections.abc import Callable

from . import scenery
from .canvas import Box, Colour, Disc, Material, Point, moved, shaded
from .scenery import ASPHALT, CONCRETE, EAST, GRASS, LAWN, NORTH, ORIGIN, PAINT, SAND, SOIL, Site

PARASOLS: tuple[Colour, ...] = ((214, 60, 54), (60, 98, 178), (238, 238, 230), (228, 190, 62))
NUMBERS = {"no": 0, "a": 1, "two": 2, "three": 3, "four": 4, "six": 6, "nine": 9}


def beach(site: Site) -> None:
    """Sea, surf, sand and what stands behind it."""
    canvas, view, chance = site.canvas, site.view, site.chance
    scenery.ground(site, GRASS)
    scenery.beside(site, 0.3 * view)
    shore, sea = site.across(chance.between(-0.1, 0.1) * view, 0.04 * view), scenery.water(site)

    def line(north: float) -> list[Point]:
        return [(x, y + north * view) for x, y in shore]

    shallow, wet = Material(shaded(sea.colour, 1.3), 0.12), Material(shaded(SAND.colour, 0.8), 0.1)
    for north, surface in ((chance.between(0.2, 0.34), SAND), (0.02, wet), (0.0, shallow), (-0.12, sea)):
        canvas.area([*line(north), (view, -view), (-view, -view)], surface)
    for wave in range({"calm": 1, "rough": 4}[site.attributes["sea"]]):
        canvas.strip(line(-0.01 - 0.07 * wave), chance.between(1.5, 3.0), Material((232, 236, 234), 0.1, True))
    if site.attributes["crowd"] == "many people":
        places = [(x, y + chance.between(0.04, 0.18) * view) for x, y in shore for _ in range(2)]
        canvas.discs([Disc(place, 1.8, chance.pick(PARASOLS)) for place in places], height=1.5)


def residential(site: Site) -> None:
    """Plots along parallel streets, nearly all of them built upon or few."""
    view, chance, dense = site.view, site.chance, site.attributes["houses"] == "many"
    scenery.ground(site, LAWN if dense else GRASS)
    block, plot = chance.between(42, 50), chance.between(13, 16)
    share = chance.between(0.8, 1.0) if dense else chance.between(0.15, 0.4)
    start, columns = chance.between(-0.5, 0.5) * block, int(0.75 * view / plot)
    streets = [start + block * number for number in range(-2, 3)]
    for street in streets:
        scenery.road(site, (0.0, street), EAST, 6.5, traffic=4 if dense else 1)
    rows = [street + side * 12 for street in streets for side in (-1, 1)]
    grid = [(column * plot, row) for row in rows for column in range(-columns, columns + 1)]
    plots = [(x + chance.between(-1, 1), y + chance.between(-1, 1)) for x, y in grid]
    built = [chance.random() < share for _ in plots]
    scenery.houses(site, [place for place, house in zip(plots, built, strict=True) if house])
    green = {"few trees": 0.2, "many trees": 0.7}[site.attributes["trees"]]
    empty = [place for place, house in zip(plots, built, strict=True) if not house and chance.random() < green]
    behind = [(chance.between(-0.7, 0.7) * view, row + block / 2) for row in streets for _ in range(int(12 * green))]
    scenery.trees(site, [*empty, *behind], 1.8, 3.6)


def farmland(site: Site) -> None:
    """Fields of several crops, ploughed in rows, between tracks."""
    canvas, view, chance = site.canvas, site.view, site.chance
    canvas.cover(SOIL)
    columns, rows = {"two": (2, 1), "four": (2, 2), "six": (3, 2)}[site.attributes["fields"]]
    crops: tuple[Colour, ...] = ((126, 146, 70), (170, 156, 92), (150, 118, 84), (98, 128, 62))
    wide, high = 1.5 * view / columns, 1.5 * view / rows
    for number in range(columns * rows):
        middle = (number % columns - (columns - 1) / 2) * wide, (number // columns - (rows - 1) / 2) * high
        colour, angle = site.near(chance.pick(crops)), chance.pick((EAST, NORTH))
        canvas.area(Box(middle, wide - 5, high - 5, EAST).corners(), Material(colour, 0.12))
        length, width = (wide - 5, high - 5) if angle == EAST else (high - 5, wide - 5)
        step = chance.between(0.035, 0.05) * view
        lines = [moved(middle, angle, 0, (at + 0.5) * step - width / 2) for at in range(int(width / step))]
        canvas.boxes([Box(line, length, 0.4 * step, angle, shaded(colour, 0.8)) for line in lines])
    scenery.beside(site, 0.34 * view)


def forest(site: Site) -> None:
    """Crowns that nearly close over the ground."""
    view, chance = site.view, site.chance
    dense = site.attributes["cover"] == "dense"
    site.canvas.cover(Material((48, 66, 38), 0.3) if dense else GRASS)
    pitch = (0.066 if dense else 0.082) * view
    grid = [(column, row) for row in range(-11, 12) for column in range(-11, 12)]
    places = [((x + chance.between(-0.4, 0.4)) * pitch, (y + chance.between(-0.4, 0.4)) * pitch) for x, y in grid]
    scenery.trees(site, places, 0.5 * pitch, 0.72 * pitch)
    if site.attributes["near"] != "trees":
        scenery.beside(site, chance.between(0.26, 0.36) * view)


def harbor(site: Site) -> None:
    """A quay with piers, and boats moored on both sides of them."""
    canvas, view, chance = site.canvas, site.view, site.chance
    canvas.cover(scenery.water(site))
    quay = chance.between(0.2, 0.3) * view
    canvas.area(scenery.beyond(quay, view), CONCRETE)
    scenery.beside(site, quay + 6)
    docks, boats = NUMBERS[site.attributes["docks"]], {"several": 5, "many": 9}[site.attributes["boats"]]
    piers = [(dock - (docks - 1) / 2) * 30 + chance.between(-2, 2) for dock in range(docks)]
    canvas.boxes([Box((x, quay - 0.4 * view), 0.8 * view, 2.6, NORTH, (168, 156, 140)) for x in piers], height=1.5)
    berths = [(x + side * 7, quay - 8 - 7 * row) for x in piers for row in range(boats) for side in (-1, 1)]
    hulls = [Box(berth, chance.between(8, 11), 3.2, EAST, site.near((232, 232, 228))) for berth in berths]
    canvas.boxes(hulls, height=1.5)
    canvas.boxes([Box(berth, 3.0, 1.8, EAST, (92, 104, 124)) for berth in berths])


def parking_lot(site: Site) -> None:
    """Double rows of cars in painted bays, with aisles between."""
    view, chance = site.view, site.chance
    scenery.ground(site, GRASS)
    side = chance.between(0.26, 0.34) * view
    site.canvas.area([(-view, side), (view, side), (view, -view), (-view, -view)], ASPHALT)
    scenery.beside(site, side + 2)
    share = {"many": 0.93, "some": 0.5}[site.attributes["filled"]]
    bays = [bay * 2.9 for bay in range(-int(0.24 * view), int(0.24 * view))]
    rows = [side - 5 - 17.5 * aisle - row * 5.4 for aisle in range(int(0.063 * view)) for row in (0, 1)]
    for row in rows:
        site.canvas.boxes([Box((bay - 1.45, row), 5.2, 0.3, NORTH, PAINT) for bay in bays])
    scenery.cars(site, [(bay, row) for row in rows for bay in bays if chance.random() < share], NORTH)
    if site.attributes["islands"] == "trees":
        scenery.trees(site, [(0.2 * view * at, row - 2.7) for row in rows[::2] for at in range(-3, 4)], 1.6, 2.6)


def river(site: Site) -> None:
    """A winding river between banks, perhaps under a bridge."""
    view, chance = site.view, site.chance
    scenery.ground(site, GRASS)
    scenery.beside(site, 0.3 * view)
    course = site.across(0.0, chance.between(0.05, 0.09) * view)
    width = {"narrow": 0.2, "wide": 0.34}[site.attributes["width"]] * view
    site.canvas.strip(course, 1.25 * width, SOIL)
    site.canvas.strip(course, width, scenery.water(site))
    sides = (-1, 1, 1, -1)
    banks = [(x, y + side * (width * 0.66 + chance.between(2, 0.14 * view))) for x, y in course for side in sides]
    scenery.trees(site, banks, 2.6, 5.0)
    if site.attributes["bridge"] == "a bridge":
        scenery.road(site, (chance.between(-0.2, 0.2) * view, 0.0), chance.between(1.3, 1.8), 8.0, traffic=2)


def runway(site: Site) -> None:
    """A wide strip with its markings, a taxiway and perhaps aircraft."""
    canvas, view, chance = site.canvas, site.view, site.chance
    scenery.ground(site, chance.pick((SOIL, GRASS, GRASS)))
    scenery.beside(site, 0.34 * view)
    paving = {"concrete": CONCRETE, "asphalt": ASPHALT}[site.attributes["surface"]]
    width, taxiway = chance.between(34, 44), -chance.between(58, 70)
    for y, wide in ((0.0, width), (taxiway, 16.0)):
        canvas.strip([(-view, y), (view, y)], wide, paving)
    canvas.strip([(0, 0), (30, taxiway)], 14.0, paving)
    canvas.line([(-view, taxiway), (view, taxiway)], 0.9, (214, 186, 80))
    for y in (2 - width / 2, width / 2 - 2):
        canvas.line([(-view, y), (view, y)], 1.2, PAINT)
    bars = chance.between(-0.3, 0.3) * view
    marks = [Box((bars, (at - 3.5) * width / 9), 26, 2.2, EAST, PAINT) for at in range(8)]
    canvas.boxes([*marks, *(Box((step * 30, 0.0), 18, 1.8, EAST, PAINT) for step in range(-6, 7))])
    paint: Colour = (240, 240, 240)
    for number in range(NUMBERS[site.attributes["planes"].split()[0]]):
        place = (number - 0.5) * 60 + chance.between(-15, 15), taxiway if number else 0.0
        wings = [Box(moved(place, EAST, -4, side * 8), 18, 4.5, side * 1.9, paint) for side in (-1, 1)]
        tail = [Box(moved(place, EAST, -16, side * 3), 8, 2.6, side * 1.9, paint) for side in (-1, 1)]
        canvas.boxes([Box(place, 36, 4.4, EAST, paint), *wings, *tail], height=4.0)


def storage_tanks(site: Site) -> None:
    """Round tanks on a yard."""
    view, chance, count = site.view, site.chance, NUMBERS[site.attributes["tanks"]]
    scenery.ground(site, chance.pick((SOIL, SOIL, GRASS)))
    columns, rows = {2: (2, 1), 4: (2, 2), 6: (3, 2), 9: (3, 3)}[count]
    pitch = (0.36 if count < 6 else 0.27) * view
    yard = Box(ORIGIN, (columns + 0.5) * pitch, (rows + 0.5) * pitch, EAST)
    site.canvas.area(yard.corners(), chance.pick((CONCRETE, SOIL)))
    scenery.beside(site, 0.34 * view)
    colour: Colour = {"white": (232, 232, 226), "gray": (166, 168, 170)}[site.attributes["colour"]]
    grid = [(at % columns - (columns - 1) / 2, at // columns - (rows - 1) / 2) for at in range(count)]
    tanks = [Disc((x * pitch, y * pitch), pitch * chance.between(0.33, 0.42), shaded(colour, 0.78)) for x, y in grid]
    site.canvas.discs(tanks, height=8.0)
    site.canvas.discs([tank._replace(radius=0.92 * tank.radius, colour=site.near(colour, 0.04)) for tank in tanks])
    site.canvas.discs([tank._replace(radius=0.14 * tank.radius) for tank in tanks])


# How to lay each class out, and how many metres the camera sees across.
LAYOUTS: dict[str, tuple[Callable[[Site], None], float]] = {
    "beach": (beach, 110.0), "dense residential": (residential, 110.0), "farmland": (farmland, 220.0),
    "forest": (forest, 110.0), "harbor": (harbor, 95.0), "parking lot": (parking_lot, 75.0), "river": (river, 170.0),
    "runway": (runway, 180.0), "sparse residential": (residential, 110.0), "storage tanks": (storage_tanks, 110.0),
}  # fmt: skip
