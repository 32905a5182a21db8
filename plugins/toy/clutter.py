"""Things that many classes of scene share: ground, roads, trees, cars, houses, buildings, water.

They are shared on purpose. What tells one class from another is how they are arranged, not that they are there.
"""

from __future__ import annotations

import numpy as np

from .canvas import Material, Vector, left_of, wander
from .site import EAST, Site

CAR_PAINTS = np.array(
    [(0.88, 0.88, 0.87), (0.72, 0.73, 0.74), (0.16, 0.17, 0.19), (0.40, 0.42, 0.44), (0.56, 0.14, 0.13),
     (0.17, 0.24, 0.42), (0.62, 0.57, 0.48)]
)  # fmt: skip
ROOFS = np.array(
    [(0.58, 0.36, 0.29), (0.66, 0.45, 0.35), (0.46, 0.33, 0.28), (0.50, 0.50, 0.51), (0.37, 0.37, 0.39),
     (0.70, 0.66, 0.60), (0.62, 0.57, 0.50)]
)  # fmt: skip
FLAT_ROOFS = np.array(
    [(0.78, 0.78, 0.76), (0.68, 0.67, 0.64), (0.55, 0.55, 0.55), (0.62, 0.52, 0.44), (0.45, 0.50, 0.56)]
)
PAINT = (0.90, 0.90, 0.86)  # road and court markings


def roofs_of(colour: str) -> np.ndarray:
    """The roofs (N, 3) of a named colour; all of them for "mixed"."""
    return {"red": ROOFS[:3], "gray": ROOFS[3:5], "mixed": ROOFS}[colour]


def joined(*parts) -> tuple[np.ndarray, ...]:
    """Several groups of boxes as one, to paint at once: the fixed cost of a call is that of many boxes.

    Each part is (places (n, 2), sizes, directions, colours), the last three broadcast to n rows.
    """
    rows = [(len(places), (places, sizes, directions, colours)) for places, sizes, directions, colours in parts]
    widths = (2, 2, 2, 3)
    return tuple(
        np.concatenate([np.broadcast_to(values[column], (count, widths[column])) for count, values in rows])
        for column in range(4)
    )


def ground(site: Site) -> None:
    """Cover everything with grass and bare soil in patches; the attribute `ground` says which prevails."""
    canvas, bare = site.canvas, site.attributes["ground"] == "bare land"
    base, patch = (site.palette.soil, site.palette.grass) if bare else (site.palette.grass, site.palette.soil)
    canvas.paint(None, base)
    level = site.between(0.25, 0.9)
    canvas.paint((np.float32(level) - canvas.slow - np.float32(0.4) * canvas.medium) * np.float32(6.0), patch, 0.8)


def trees(site: Site, places: np.ndarray, low: float = 2.0, high: float = 4.5, *, closed: bool = False) -> None:
    """Tree crowns of radius low to high metres at (N, 2) `places`, lit from the sun's side.

    A `closed` canopy lets no shadow be seen on the ground, so none is drawn.
    """
    count = len(places)
    colours = np.array(site.palette.tree) * site.spread(count, 0.75, 1.3)[:, None]
    colours[:, 0] += site.spread(count, -0.02, 0.05)
    lift = 0.0 if closed else (low + high) * 0.8
    site.canvas.discs(places, site.spread(count, low, high), colours, lift=lift, dome=0.38, rough=0.22)


def grove(site: Site, centre: Vector, radius: float, count: int, low: float = 2.5, high: float = 5.0) -> None:
    """A clump of `count` trees within about `radius` metres."""
    trees(site, centre + radius * (site.rng.random((count, 2)) + site.rng.random((count, 2)) - 1), low, high)


def cars(site: Site, places: np.ndarray, directions) -> None:
    """Cars, 4.5 by 2 metres, each with its dark windscreen."""
    if not len(places):
        return
    paints = site.pick(CAR_PAINTS, len(places))
    glass = (places + 0.5 * directions, (1.3, 1.8), directions, 0.4 * paints + (0.09, 0.10, 0.11))
    site.canvas.boxes(*joined((places, (4.6, 2.1), directions, paints), glass), lift=1.5, casting=len(places))


def houses(site: Site, places: np.ndarray, directions, low: float = 9.0, high: float = 15.0, roofs=ROOFS) -> None:
    """Small houses with gable roofs, low to high metres long; about half have a wing."""
    if not len(places):
        return
    count = len(places)
    directions = np.broadcast_to(np.asarray(directions), (count, 2))
    sizes = np.stack([site.spread(count, low, high), site.spread(count, 0.62 * low, 0.72 * high)], axis=1)
    colours = site.pick(roofs, count) * site.spread(count, 0.88, 1.1)[:, None]
    winged = site.rng.random(count) < 0.5
    across = np.stack([-directions[:, 1], directions[:, 0]], axis=1)
    offset = directions * (sizes[:, :1] * 0.25) + across * (sizes[:, 1:] * 0.4)
    wings = ((places + offset)[winged], sizes[winged] * (0.75, 0.7), across[winged], colours[winged])
    site.canvas.boxes(*joined(wings, (places, sizes, directions, colours)), lift=4.5, ridge=0.18)


def buildings(site: Site, places: np.ndarray, directions, low: float = 14.0, high: float = 32.0) -> None:
    """Large flat-roofed buildings with a parapet and some plant on the roof."""
    if not len(places):
        return
    count = len(places)
    directions = np.broadcast_to(np.asarray(directions), (count, 2))
    sizes = np.stack([site.spread(count, low, high), site.spread(count, 0.6 * low, 0.6 * high)], axis=1)
    colours = site.pick(FLAT_ROOFS, count) * site.spread(count, 0.85, 1.1)[:, None]
    spots = np.repeat(places, 2, axis=0) + site.spread(4 * count, -0.25, 0.25).reshape(-1, 2) * low
    plant = (spots, (3.0, 2.2), np.repeat(directions, 2, axis=0), (0.42, 0.42, 0.42))
    parapet, roof = (places, sizes, directions, colours * 1.12), (places, sizes - 1.6, directions, colours)
    site.canvas.boxes(*joined(parapet, roof, plant), lift=site.between(5.0, 12.0), casting=count)


def dashes(site: Site, point: Vector, direction: Vector, *, dash=3.0, period=9.0, width=0.35, colour=PAINT) -> None:
    """A dashed line through `point`, across the whole picture."""
    reach = 0.8 * site.canvas.view
    along = np.arange(-reach, reach, period) + site.between(0, period)
    site.canvas.boxes(point + along[:, None] * direction, (dash, width), direction, colour, alpha=0.85)


def line(site: Site, point: Vector, direction: Vector, length: float, width=0.35, colour=PAINT, alpha=0.85) -> None:
    """One painted line of `length` metres centred on `point`."""
    site.canvas.boxes(point, (length, width), direction, colour, alpha=alpha)


def road(site: Site, point: Vector, direction: Vector, width: float, traffic: int = 3, marked: bool = True) -> None:
    """A straight road across the picture, with verges, some cars and, where marked, lines."""
    canvas = site.canvas
    strip = canvas.band(point, direction, width)
    canvas.paint(canvas.ragged(strip - np.float32(1.5), 0.5), site.palette.soil, 0.5)
    canvas.paint(strip, site.palette.asphalt)
    if marked:
        dashes(site, point, direction)
        canvas.paint(np.abs(strip + np.float32(0.6)) - np.float32(0.15), Material(PAINT), 0.45)
    cars(site, *lane_places(site, point, direction, width, traffic))


def lane_places(site: Site, point: Vector, direction: Vector, width: float, count: int) -> tuple[np.ndarray, Vector]:
    """Places (count, 2) of cars on both lanes of a road, and their direction."""
    along = site.spread(count, -0.7, 0.7)[:, None] * site.canvas.view
    lane = np.where(site.rng.random(count) < 0.5, 1.0, -1.0)[:, None]
    return point + along * direction + lane * (width / 4) * left_of(direction), direction


def water_beyond(site: Site, direction: Vector, offset: float) -> None:
    """Water on the far side of a wandering shore about `offset` metres along `direction`."""
    canvas = site.canvas
    shore = canvas.ragged(canvas.beyond(direction, offset), 0.015 * canvas.view)
    shore = shore + wander(site.rng, 4, canvas.beyond(left_of(direction), 0.0), 1.5 * canvas.view) * (
        0.05 * canvas.view
    )
    canvas.paint(shore - np.float32(0.02 * canvas.view), site.palette.soil, 0.8)
    canvas.paint(shore, site.palette.water)


def surroundings(site: Site, direction: Vector, offset: float) -> None:
    """What the attribute `near` names, beyond about `offset` metres along `direction`, but always within the view."""
    canvas, view, across = site.canvas, site.canvas.view, left_of(direction)
    offset = min(offset, 0.36 * view)
    edge, near = direction * offset, site.attributes["near"]
    if near == "water":
        water_beyond(site, direction, offset + 0.04 * view)
    elif near == "road":
        width = site.between(7.0, 10.0) * max(1.0, view / 140)
        road(site, edge + direction * (width * 0.8), across, width, traffic=int(site.rng.integers(1, 6)))
    elif near == "trees":
        count = int(site.rng.integers(18, 36))
        places = site.spread(count, -0.7, 0.7)[:, None] * view * across
        depth = site.spread(count, 0.0, 0.3)[:, None] * view + 3.0
        size = max(1.0, view / 120)
        trees(site, edge + places + depth * direction, 2.2 * size, 4.2 * size)
    elif near == "buildings":
        canvas.paint(canvas.beyond(direction, offset + 2.0), site.palette.concrete, 0.55)
        along = np.arange(-0.7 * view, 0.7 * view, site.between(26.0, 34.0))
        along = along + site.spread(len(along), -3, 3)
        buildings(site, edge + along[:, None] * across + direction * site.between(13.0, 17.0), across, 15.0, 27.0)
    elif near == "houses":
        along = np.arange(-0.7 * view, 0.7 * view, 19.0) + site.between(-8, 8)
        depth = 10.0 + site.spread(len(along), -2, 2)[:, None]
        houses(site, edge + along[:, None] * across + depth * direction, across)
        trees(site, edge + site.spread(9, -0.7, 0.7)[:, None] * view * across + direction * 15.0, 2.0, 4.0)
    elif near == "lawn":
        canvas.paint(canvas.ragged(canvas.beyond(direction, offset), 0.6), site.palette.lawn)
        grove(site, edge + direction * (0.12 * view), 0.3 * view, 5)
    else:  # bare land
        canvas.paint(canvas.ragged(canvas.beyond(direction, offset), 0.02 * view), site.palette.soil)


def court_lines(site: Site, places: np.ndarray, scale: float) -> None:
    """The lines and the net's shadow of tennis courts that lie north to south at (N, 2) `places`."""
    long = [(across, 0.0, 0.35, 23.8) for across in (-5.4, -4.1, 4.1, 5.4)] + [(0.0, 0.0, 0.35, 12.8)]
    wide = [(0.0, up, 10.9, 0.35) for up in (-11.8, 11.8)] + [(0.0, up, 8.2, 0.35) for up in (-6.4, 6.4)]
    marks = scale * np.array(long + wide)
    spots = (places[:, None] + marks[:, :2]).reshape(-1, 2)
    site.canvas.boxes(spots, np.tile(marks[:, 2:], (len(places), 1)), EAST, PAINT, alpha=0.9)
    site.canvas.boxes(places, (12.6 * scale, 0.5 * scale), EAST, (0.2, 0.22, 0.2), alpha=0.7)
