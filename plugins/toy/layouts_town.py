"""Layouts of scenes in a town: homes, streets, cars, sports grounds.

As in `layouts_open`, axes are fixed, lengths are metres around the origin, and the scene's attributes are obeyed.
"""

from __future__ import annotations

import numpy as np

from . import clutter
from .canvas import Material, Vector, left_of, unit
from .site import EAST, NORTH, ORIGIN, Layout, Site, grid


def dense_residential(site: Site) -> None:
    """Rows of houses close together along parallel streets."""
    canvas, view = site.canvas, site.canvas.view
    clutter.ground(site)
    block, plot = site.between(42.0, 50.0), site.between(12.5, 16.0)
    roofs = clutter.roofs_of(str(site.attributes["colour"]))
    start, columns = site.between(-0.5, 0.5) * block, int(1.4 * view / plot) + 1
    if site.chance(0.4):
        clutter.road(site, EAST * site.between(-0.35, 0.35) * view, NORTH, 7.0, traffic=2, marked=False)
    streets = np.arange(-2, 3) * block + start
    width = site.between(6.0, 7.5)
    nearest = np.abs((canvas.y - np.float32(start) + 5.5 * block) % np.float32(block) - np.float32(block / 2))
    canvas.paint(nearest - np.float32(width / 2 + 1.5), site.palette.concrete, 0.5)
    canvas.paint(nearest - np.float32(width / 2), site.palette.asphalt)
    traffic = [clutter.lane_places(site, NORTH * street, EAST, width, 5)[0] for street in streets]
    clutter.cars(site, np.concatenate(traffic), EAST)
    along = (np.arange(columns) - columns / 2) * plot
    homes = np.stack(np.broadcast_arrays(along, (streets[:, None] + (-12.0, 12.0)).reshape(-1, 1)), axis=-1)
    homes = homes.reshape(-1, 2) + site.spread(homes.size, -1.2, 1.2).reshape(-1, 2)
    clutter.houses(site, homes[site.rng.random(len(homes)) < 0.93], EAST, 9.5, 13.5, roofs)
    count = {"few": 14, "many": 70}[str(site.attributes["trees"])]
    places = site.anywhere(count)
    off_street = np.abs((places[:, 1] - start + 5.5 * block) % block - block / 2) < block / 2 - 5.0
    clutter.trees(site, places[off_street], 1.5, 3.2)


def sparse_residential(site: Site) -> None:
    """One to three houses with drives, lawns and trees."""
    canvas, view, count = site.canvas, site.canvas.view, int(site.attributes["houses"])
    clutter.ground(site)
    clutter.surroundings(site, -NORTH, 0.30 * view)
    clutter.road(site, NORTH * (0.36 * view), EAST, site.between(5.5, 7.5), traffic=1, marked=site.chance(0.3))
    roofs = clutter.roofs_of(str(site.attributes["colour"]))
    along = (np.arange(count) - (count - 1) / 2) * site.between(32.0, 40.0)
    for across in along + site.spread(count, -4, 4):
        home = np.array([across, site.between(-8.0, 10.0)])
        canvas.paint(canvas.ragged(canvas.disc(home, site.between(13.0, 19.0)), 3.0), site.palette.lawn, 0.8)
        drive = canvas.box(home + np.array([5.0, 0.2 * view]), (3.4, 0.4 * view), EAST)
        canvas.paint(drive, site.pick((site.palette.concrete, site.palette.soil)))
        if site.attributes["pool"] == "a pool":
            pool = home + np.array([site.between(-9, 3), -13.0])
            canvas.boxes(pool, (10.0, 5.6), EAST, (0.80, 0.80, 0.76))
            canvas.boxes(pool, (7.8, 3.8), EAST, (0.30, 0.62, 0.70))
        clutter.houses(site, home[None], unit(site.between(-0.3, 0.3)), 15.0, 21.0, roofs)
        if site.chance(0.7):
            clutter.cars(site, home[None] + (5.0, 13.0), NORTH)
    places = site.anywhere({"few": 22, "many": 60}[str(site.attributes["trees"])])
    clear = np.abs(places[:, 1] - 0.36 * view) > 6.0
    clear &= (np.abs(places[:, None, 0] - along) + np.abs(places[:, None, 1]) > 17.0).all(axis=1)
    clutter.trees(site, places[clear], 2.2, 4.8)


def parking_lot(site: Site) -> None:
    """Double rows of cars in painted bays, with aisles between."""
    canvas, view = site.canvas, site.canvas.view
    clutter.ground(site)
    side = site.between(0.27, 0.4) * view
    canvas.paint(canvas.beyond(-NORTH, -side - 2.0), site.palette.concrete)
    canvas.paint(canvas.beyond(-NORTH, -side), site.palette.asphalt)
    clutter.surroundings(site, NORTH, side)
    full = {"full": 0.92, "half": 0.5, "empty": 0.14}[str(site.attributes["filled"])]
    bays = 2 * int(0.75 * view / 2.9)
    along = (np.arange(bays) - bays / 2) * 2.9
    aisles = np.arange(side - 9.4, -0.75 * view, -17.5)
    rows = np.sort(np.concatenate([aisles + 5.4, aisles[1:] + 10.8]))
    stalls = np.stack(np.broadcast_arrays(along, rows[:, None]), axis=-1).reshape(-1, 2)
    beside = canvas.x / np.float32(2.9)
    lines = np.abs(beside - np.floor(beside) - np.float32(0.5)) * np.float32(2.9) - np.float32(0.15)
    module = (canvas.y - np.float32(side - 9.4)) / np.float32(17.5)
    module = (module - np.floor(module)) * np.float32(17.5)
    lines = np.maximum(
        np.maximum(lines, np.abs(module - np.float32(8.1)) - np.float32(5.2)), canvas.y - np.float32(side - 1.4)
    )
    canvas.paint(lines, Material(clutter.PAINT), 0.7)
    taken = stalls[site.rng.random(len(stalls)) < full]
    taken = taken + site.spread(len(taken), -0.4, 0.4)[:, None] * NORTH
    moving = np.stack([site.spread(4, -0.5, 0.5) * view, site.pick(aisles, 4)], 1)
    headings = np.concatenate([site.pick(np.array([NORTH, -NORTH]), len(taken)), np.broadcast_to(EAST, (4, 2))])
    clutter.cars(site, np.concatenate([taken, moving]), headings)
    if site.attributes["islands"] == "trees":
        along = np.arange(-0.7, 0.7, 0.16) * view
        spots = np.stack(np.broadcast_arrays(along, aisles[1:, None] + 8.1), axis=-1).reshape(-1, 2)
        clutter.trees(site, spots, 1.6, 2.8)


def intersection(site: Site) -> None:
    """Two roads that cross, with crossings, traffic and a built or green corner."""
    canvas, view = site.canvas, site.canvas.view
    clutter.ground(site)
    other = unit(1.571 + site.between(-0.35, 0.35))
    widths = (site.between(9.0, 19.0), site.between(8.0, 16.0))
    clutter.surroundings(site, NORTH, widths[0] / 2 + 7.0)
    if site.chance(0.6):
        corners = np.array([[-1.0, -1.0], [1.0, -1.0]]) * (widths[1] / 2 + 21.0, widths[0] / 2 + 20.0)
        put = clutter.buildings if site.chance(0.5) else clutter.houses
        put(site, corners[: 1 + site.chance(0.6)], EAST)
    places = site.anywhere(30)
    away = (np.abs(places[:, 1]) > widths[0] / 2 + 5) & (np.abs(places[:, 0]) > widths[1] / 2 + 9)
    clutter.trees(site, places[away], 2.0, 4.2)
    for direction, width in ((EAST, widths[0]), (other, widths[1])):
        canvas.paint(canvas.band(ORIGIN, direction, width + 4.5), site.palette.concrete, 0.8)
    for direction, width in ((EAST, widths[0]), (other, widths[1])):
        canvas.paint(canvas.band(ORIGIN, direction, width), site.palette.asphalt)
    queues, headings = [(site.rng.random((2, 2)) - 0.5) * 9.0], [np.broadcast_to(site.pick((EAST, other)), (2, 2))]
    for direction, width, crossed in ((EAST, widths[0], widths[1]), (other, widths[1], widths[0])):
        across, stop = left_of(direction), crossed / 2 + 5.0
        for sense in (-1, 1):
            arm = direction * sense
            clutter.line(site, arm * (stop + 0.4 * view), direction, 0.8 * view, 0.5, (0.86, 0.76, 0.35))
            if site.attributes["crosswalk"] == "a crosswalk":
                bars = np.arange(-width / 2 + 1.0, width / 2, 1.8)[:, None] * across + arm * (stop - 2.2)
                canvas.boxes(bars, (2.8, 0.8), direction, clutter.PAINT, alpha=0.85)
            lane = across * (sense * width / 4)
            queue = int(site.rng.integers(0, {"light": 2, "heavy": 6}[str(site.attributes["traffic"])]))
            queues.append(arm * (stop + 4.0) + lane + arm * (np.arange(queue) * site.between(6.0, 9.0))[:, None])
            headings.append(np.broadcast_to(direction, (queue, 2)))
    clutter.cars(site, np.concatenate(queues), np.concatenate(headings))


def tennis_court(site: Site) -> None:
    """One to six fenced courts, lines and all."""
    canvas, view, count = site.canvas, site.canvas.view, int(site.attributes["courts"])
    clutter.ground(site)
    columns = {1: 1, 2: 2, 3: 3, 4: 2}.get(count, 3)
    rows = -(-count // columns)
    # Several rows are seen from higher up: everything about the courts shrinks with `scale`.
    scale = min(1.0, 0.62 * view / (35.0 * rows), 0.8 * view / (17.5 * columns))
    middle = np.array([0.0, -3.0])
    places = grid(columns, rows, (17.5 * scale, 35.0 * scale))[:count] + middle
    yard_size = np.array([17.5 * columns + 1.0, 35.0 * rows]) * scale
    clutter.surroundings(site, NORTH, yard_size[1] / 2 + site.between(0.0, 5.0))
    courts = {"green": (0.28, 0.44, 0.33), "blue": (0.26, 0.40, 0.58), "red": (0.62, 0.36, 0.29)}
    outer = Material(site.pick(((0.34, 0.47, 0.35), (0.58, 0.38, 0.31), (0.52, 0.53, 0.53))), 0.04, 0.03)
    yard = canvas.box(middle, tuple(yard_size), EAST)
    canvas.paint(yard - np.float32(1.2), site.palette.concrete, 0.6)
    canvas.paint(yard, outer)
    canvas.boxes(places, (23.8 * scale, 11.0 * scale), NORTH, courts[str(site.attributes["colour"])])
    clutter.court_lines(site, places, scale)
    grove = site.anywhere({"few": 12, "many": 46}[str(site.attributes["trees"])])
    clear = (np.abs(grove - middle) > yard_size / 2 + 4.0).any(axis=1)
    clutter.trees(site, grove[clear], 2.0, 4.2)
    if site.chance(0.4):
        clutter.road(site, EAST * (yard_size[0] / 2 + 12.0), NORTH, 6.5, traffic=2, marked=False)


def baseball_diamond(site: Site) -> None:
    """One or two diamonds: a fan of soil around a square of grass, and the outfield."""
    canvas, view, count = site.canvas, site.canvas.view, int(site.attributes["diamonds"])
    clutter.ground(site)
    size = site.between(0.8, 1.15)
    homes = [NORTH * -26.0] if count == 1 else [NORTH * (-0.36 * view), NORTH * (0.36 * view)]
    clutter.surroundings(site, -NORTH, -float(homes[0][1]) + site.between(10.0, 18.0))
    for index, home in enumerate(homes):
        facing = NORTH if index == 0 else -NORTH
        _diamond(site, home, facing, size if count == 1 else 0.0055 * view)
    places = site.anywhere({"few": 12, "many": 50}[str(site.attributes["trees"])])
    clear = (places[:, 0] ** 2 + (places[:, 1] - 8.0 * (count == 1)) ** 2) > (50.0 * size) ** 2
    clutter.trees(site, places[clear], 2.4, 4.8)
    if site.chance(0.4):
        park = np.array([site.between(-20, 20), -0.36 * view])
        canvas.paint(canvas.box(park, (34.0, 13.0), EAST), site.palette.asphalt)
        clutter.cars(site, park + grid(8, 1, (3.4, 1.0)), NORTH)


def _diamond(site: Site, home: Vector, facing: Vector, size: float) -> None:
    """One diamond with its home plate at `home`, opening towards `facing`."""
    canvas, right = site.canvas, np.array([facing[1], -facing[0]])
    legs = [0.7071 * (facing + right), 0.7071 * (facing - right)]
    apex = home - facing * (5.0 * size)
    # The foul lines are at right angles, so each is the border of the half plane that the other one points into.
    wedge = np.maximum(*(canvas.beyond(leg, float((leg * apex).sum())) for leg in legs))
    outfield = np.maximum(wedge, canvas.disc(home, 74.0 * size))
    soil = Material(site.pick(((0.66, 0.47, 0.34), (0.72, 0.60, 0.45), (0.60, 0.42, 0.33))), 0.05, 0.04)
    canvas.paint(outfield - np.float32(2.5), soil, 0.75)
    mown = canvas.beyond(legs[0], 0.0) / np.float32(site.between(5.0, 9.0))
    stripes = (np.floor(mown) - 2 * np.floor(mown / 2) - np.float32(0.5)) * np.float32(0.08)
    canvas.paint(outfield, site.palette.lawn, pattern=stripes)
    infield = np.maximum(wedge, canvas.disc(home + facing * (18.0 * size), 29.0 * size))
    canvas.paint(canvas.ragged(infield, 0.4), soil)
    centre = home + facing * (19.0 * size)
    if site.attributes["infield"] == "grass":
        canvas.paint(canvas.box(centre, (22.0 * size, 22.0 * size), legs[0]), site.palette.lawn)
    canvas.discs(np.stack([centre, home]), np.array([2.8, 4.2]) * size, soil.colour)
    for leg in legs:
        clutter.line(site, home + leg * (36.0 * size), leg, 72.0 * size, 0.5)
    bases = np.stack([home, home + legs[0] * 27 * size, home + legs[1] * 27 * size, home + facing * 38 * size])
    canvas.boxes(bases, (1.4, 1.4), legs[0], clutter.PAINT)


LAYOUTS = {
    "baseball diamond": Layout(baseball_diamond, 105.0),
    "dense residential": Layout(dense_residential, 120.0),
    "intersection": Layout(intersection, 85.0),
    "parking lot": Layout(parking_lot, 80.0),
    "sparse residential": Layout(sparse_residential, 95.0),
    "tennis court": Layout(tennis_court, 72.0),
}
