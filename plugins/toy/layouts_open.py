"""Layouts of wide and open scenes: water, fields, woods, an airfield, a tank yard.

A layout may use fixed axes, since the camera turns, shifts and zooms at random. It reads the scene's attributes, so
that a caption which names them is true of the picture. Lengths are metres around the origin.
"""

from __future__ import annotations

import numpy as np

from . import clutter
from .canvas import Material, Vector, left_of, unit, wander
from .site import EAST, NORTH, ORIGIN, Layout, Site, grid


def harbor(site: Site) -> None:
    """A quay with piers and boats moored on both sides of them."""
    canvas, view = site.canvas, site.canvas.view
    canvas.paint(None, site.palette.water)
    quay = -site.between(0.18, 0.34) * view
    canvas.paint(canvas.beyond(-NORTH, -quay), site.palette.concrete)
    clutter.surroundings(site, -NORTH, -quay + site.between(4.0, 8.0))
    docks, left = int(site.attributes["docks"]), int(site.attributes["boats"])
    for column in range(docks):
        across = (column - (docks - 1) / 2) * site.between(27.0, 31.0) + site.between(-2, 2)
        reach = site.between(0.45, 0.8) * view
        canvas.boxes((across, quay + reach / 2), (2.6, reach), EAST, (0.66, 0.62, 0.55), lift=1.5)
        moored = -(-left // (docks - column))
        left -= moored
        rows = np.arange(moored) // 2
        side = np.where(np.arange(moored) % 2 == 0, 1.0, -1.0)
        step = min(6.0, (reach - 8.0) / max(1, int(rows.max(initial=0)) + 1))
        places = np.stack([across + side * 7.5, quay + 6.0 + rows * step + site.spread(moored, -0.6, 0.6)], axis=1)
        _boats(site, places, side[:, None] * EAST)
    for place in site.anywhere(2):
        if place[1] > quay + 12:
            _boats(site, place[None], site.direction()[None])


def _boats(site: Site, places: np.ndarray, bows: np.ndarray) -> None:
    """Pale hulls with a tapering bow and a darker cockpit."""
    count = len(places)
    length = site.spread(count, 7.0, 11.0)
    hulls = site.spread(count, 0.75, 0.95)[:, None] * np.array([1.0, 1.0, 0.99])
    ahead, sheer = bows * length[:, None], 0 * length
    cabins = site.pick(np.array([(0.34, 0.40, 0.48), (0.58, 0.54, 0.46), (0.28, 0.36, 0.52)]), count)
    hull = (places, np.stack([length * 0.7, sheer + 3.2], 1), bows, hulls)
    bow = (places + 0.4 * ahead, np.stack([length * 0.3, sheer + 1.7], 1), bows, hulls)
    site.canvas.boxes(
        *clutter.joined(hull, bow, (places - 0.08 * ahead, (3.0, 1.7), bows, cabins)), lift=1.5, casting=count
    )


def runway(site: Site) -> None:
    """A wide strip with its markings, a taxiway and perhaps aircraft."""
    canvas, view = site.canvas, site.canvas.view
    clutter.ground(site)
    side = site.pick((-1.0, 1.0))
    clutter.surroundings(site, -NORTH * side, site.between(0.3, 0.4) * view)
    paving = site.palette.concrete if site.attributes["surface"] == "concrete" else site.palette.asphalt
    width = site.between(28.0, 44.0)
    taxiway = np.array([0.0, side * site.between(56.0, 78.0)])
    link = site.between(-0.3, 0.3) * view
    canvas.paint(canvas.band(taxiway, EAST, 15.0), paving)
    slanted = canvas.band(np.array([link, 0.0]), unit(site.between(0.8, 2.3)), 14.0)
    canvas.paint(np.maximum(slanted, canvas.box(taxiway / 2, (4 * view, abs(taxiway[1])), EAST)), paving)
    canvas.paint(canvas.band(taxiway, EAST, 0.6), Material((0.85, 0.74, 0.30)), 0.85)
    canvas.paint(canvas.band(ORIGIN, EAST, width + 8.0), paving, 0.75)
    canvas.paint(canvas.band(ORIGIN, EAST, width), paving)
    canvas.paint(np.abs(canvas.y) * np.float32(1.0) - np.float32(4.0) + 3 * canvas.slow, Material((0.25,) * 3), 0.35)
    clutter.dashes(site, ORIGIN, EAST, dash=22.0, period=38.0, width=1.6)
    edges = np.abs(np.abs(canvas.y) - np.float32(width / 2 - 1.5)) - np.float32(0.6)
    canvas.paint(edges, Material(clutter.PAINT), 0.85)
    if site.chance(0.5):
        bars = np.linspace(-0.42, 0.42, 8) * width
        canvas.boxes(
            np.stack([0 * bars + site.between(-0.3, 0.3) * view, bars], 1), (26.0, 2.2), EAST, clutter.PAINT, alpha=0.9
        )
    for index in range(int(site.attributes["planes"])):
        spot = np.array([(index - 0.5) * 50.0 + site.between(-15, 15), taxiway[1] if index else site.between(-3, 3)])
        _plane(site, spot, EAST if site.chance(0.5) else -EAST)


def _plane(site: Site, place: Vector, nose: Vector) -> None:
    """An airliner: fuselage, swept wings, tail."""
    paint, wing = (0.93, 0.93, 0.93), left_of(nose)
    body = site.between(30.0, 38.0)
    swept = np.array([0.94 * wing - 0.34 * nose, -0.94 * wing - 0.34 * nose])
    wings = (place + swept * (body * 0.24), (body * 0.48, 4.0), swept, paint)
    tail = (place - nose * (body * 0.42) + swept * 3.5, (9.0, 2.4), swept, paint)
    site.canvas.boxes(*clutter.joined(wings, tail, (place[None], (body, 4.2), nose, paint)), lift=4.0, ridge=0.05)


def river(site: Site) -> None:
    """A winding river between banks, perhaps under a bridge."""
    canvas, view = site.canvas, site.canvas.view
    clutter.ground(site)
    width = {"narrow": 0.17, "wide": 0.34}[str(site.attributes["width"])] * view * site.between(0.85, 1.2)
    clutter.surroundings(site, NORTH, width / 2 + 0.13 * view)
    along = (site.spread(26, -0.7, 0.7) * view).astype(np.float32)
    course = wander(site.rng, 5, np.concatenate([canvas.x.ravel(), along]), 1.5 * view) * np.float32(0.13 * view)
    middle = course[:-26].reshape(canvas.x.shape)
    bank = np.abs(canvas.y - middle) - np.float32(width / 2) + np.float32(0.01 * view) * canvas.medium
    canvas.paint(bank - np.float32(0.03 * view), site.palette.soil, 0.7)
    canvas.paint(bank, site.palette.water)
    shallow = site.palette.water._replace(colour=tuple(0.5 * value + 0.24 for value in site.palette.water.colour))
    canvas.paint(np.maximum(bank, canvas.slow * 8 + 4), shallow, 0.5)
    sides = site.pick(np.array([-1.0, 1.0]), 26) * (width / 2 + 0.04 * view + site.spread(26, 0.0, 0.16) * view)
    places = np.stack([along, course[-26:] + sides], axis=1)
    clutter.trees(site, places[: int(site.rng.integers(6, 26))], 3.0, 6.0)
    if site.attributes["bridge"] == "a bridge":
        clutter.road(site, EAST * site.between(-0.2, 0.2) * view, unit(site.between(1.2, 1.9)), 9.0, marked=False)


def storage_tanks(site: Site) -> None:
    """Round tanks inside low bunds."""
    canvas, view, count = site.canvas, site.canvas.view, int(site.attributes["tanks"])
    clutter.ground(site)
    pitch = site.between(0.23, 0.31) * view if count > 4 else site.between(0.3, 0.4) * view
    columns = {1: 1, 2: 2, 3: 3, 4: 2}.get(count, 3)
    places = grid(columns, -(-count // columns), (pitch, pitch))[:count] - NORTH * (0.06 * view)
    pad = getattr(site.palette, str(site.attributes["yard"]))
    rows = -(-count // columns)
    wide = site.pick((0.5, 1.5, 4.0))
    yard = canvas.box(-NORTH * (0.06 * view), ((columns + wide) * pitch, (rows + 0.5 * wide) * pitch), EAST)
    canvas.paint(canvas.ragged(yard, 1.0), pad, 0.85)
    clutter.surroundings(site, NORTH, 0.36 * view)
    radii = pitch * site.between(0.34, 0.42) * site.spread(count, 0.8, 1.08)
    shade = {"white": (0.90, 0.90, 0.88), "gray": (0.64, 0.66, 0.66), "brown": (0.58, 0.44, 0.36)}
    colour = np.array(shade[str(site.attributes["colour"])])
    places = places + site.spread(2 * count, -0.03, 0.03).reshape(-1, 2) * pitch
    pipe = site.between(-0.5, 0.5) * pitch
    clutter.line(site, NORTH * pipe, EAST, 1.1 * columns * pitch, 1.2, (0.6, 0.6, 0.58))
    canvas.discs(places, radii * 1.28, site.palette.soil.colour, alpha=0.5)
    canvas.discs(places, radii, colour * 0.8, lift=site.between(6.0, 11.0))
    canvas.discs(places, radii * 0.93, colour, dome=site.between(0.04, 0.16))
    if site.chance(0.5):
        canvas.discs(places, radii * 0.2, colour * 0.85)


def farmland(site: Site) -> None:
    """Fields of several crops, ploughed in rows, between tracks."""
    canvas, view = site.canvas, site.canvas.view
    canvas.paint(None, site.palette.grass)
    count = int(site.attributes["fields"])
    lean = unit(1.571 + site.between(-0.25, 0.25))
    columns = {1: [], 2: [0.0], 3: [-0.16, 0.18], 4: [0.0]}.get(count, [-0.2, 0.15])
    across = canvas.beyond(left_of(lean), site.between(-0.06, 0.06) * view)
    column = sum((across > np.float32(edge * view)).astype(np.int64) for edge in columns) + np.zeros_like(across, int)
    split = (np.array([-0.05, 0.1, -0.12]) + site.between(-0.1, 0.1))[: len(columns) + 1] if count >= 4 else None
    row = np.zeros_like(column) if split is None else (canvas.y > (split * view).astype(np.float32)[column]) * 1
    crops = (site.palette.crop, site.palette.grass, site.palette.soil, site.palette.lawn)
    for field in range(2 * (len(columns) + 1)):
        inside = (column == field // 2) & (row == field % 2)
        furrows = site.direction() if site.chance(0.3) else site.pick((EAST, lean))
        phase = canvas.beyond(left_of(furrows), 0.0) / np.float32(site.between(4.0, 9.0) * view / 230)
        pattern = (np.abs(phase - np.floor(phase) - np.float32(0.5)) - np.float32(0.25)) * np.float32(
            site.between(0.1, 0.7)
        )
        base = site.pick(crops)
        colour = tuple(value * site.between(0.82, 1.12) for value in base.colour)
        canvas.paint(np.where(inside, np.float32(-9), np.float32(9)), base._replace(colour=colour), pattern=pattern)
    tracks = np.abs(across - np.float32(columns[0] * view)) if columns else np.float32(9.0) + 0 * across
    for edge in columns[1:]:
        tracks = np.minimum(tracks, np.abs(across - np.float32(edge * view)))
    if split is not None:
        tracks = np.minimum(tracks, np.abs(canvas.y - (split * view).astype(np.float32)[column]))
    verge = site.pick((site.palette.soil, site.palette.grass))
    canvas.paint(canvas.ragged(tracks - np.float32(site.between(1.2, 3.4)), 0.5), verge)
    clutter.surroundings(site, NORTH, site.between(0.26, 0.36) * view)


def forest(site: Site) -> None:
    """Crowns that nearly close over the ground, perhaps around a track or a stream."""
    canvas, view = site.canvas, site.canvas.view
    clutter.ground(site)
    dark = Material(tuple(0.8 * value for value in site.palette.tree), 0.15, 0.2)
    canvas.paint(None, dark, 1.0)
    clearing = canvas.ragged(canvas.disc((site.rng.random(2) - 0.5) * 0.6 * view, site.between(0.1, 0.2) * view), 3.0)
    if site.attributes["cover"] == "open":
        canvas.paint(clearing - np.float32(0.05 * view), site.palette.grass)
    spacing = 0.062 * view
    places = grid(23, 23, (spacing, spacing * 0.95)) + site.spread(2 * 23 * 23, -0.55, 0.55).reshape(-1, 2) * spacing
    places = places[site.rng.random(len(places)) < {"open": 0.5, "dense": 0.9}[str(site.attributes["cover"])]]
    clutter.trees(site, places, 0.45 * spacing, 0.78 * spacing, closed=site.attributes["cover"] == "dense")
    clutter.surroundings(site, NORTH, site.between(0.2, 0.36) * view)


def beach(site: Site) -> None:
    """Sea, surf, sand and what stands behind it."""
    canvas, view = site.canvas, site.canvas.view
    clutter.ground(site)
    shore = site.between(-0.12, 0.12) * view
    depth = site.between(0.16, 0.34) * view
    bend = wander(site.rng, 3, canvas.x, 1.6 * view) * np.float32(0.06 * view)
    clutter.surroundings(site, -NORTH, depth - shore)
    sea = np.float32(shore) + bend - canvas.y
    dunes = np.maximum(sea - np.float32(depth), -9 - sea) + 3 * canvas.medium
    canvas.paint(dunes, site.palette.sand)
    wet = site.palette.sand._replace(colour=tuple(0.8 * value for value in site.palette.sand.colour))
    canvas.paint(sea - np.float32(0.05 * view), wet, 0.7)
    swell = (canvas.y + bend) / np.float32(0.05 * view) + canvas.slow
    pattern = (np.abs(swell - np.floor(swell) - np.float32(0.5)) - np.float32(0.25)) * np.float32(0.16)
    canvas.paint(sea, site.palette.water, pattern=pattern)
    shoal = site.palette.water._replace(colour=tuple(0.6 * value + 0.22 for value in site.palette.water.colour))
    canvas.paint(np.maximum(sea, -sea - np.float32(0.10 * view) + 4 * canvas.medium), shoal, 0.6)
    for line in range(int(site.attributes["waves"])):
        crest = np.abs(sea + np.float32((0.015 + 0.06 * line) * view) + 2 * canvas.medium) - np.float32(0.012 * view)
        canvas.paint(crest + 2 * canvas.fast, Material((0.93, 0.94, 0.92)), 0.85)
    count = {"empty": 0, "busy": 26}[str(site.attributes["crowd"])]
    places = np.stack([site.spread(count, -0.6, 0.6) * view, shore - site.spread(count, 0.25, 0.85) * depth], 1)
    shades = np.array([(0.85, 0.25, 0.22), (0.25, 0.40, 0.70), (0.95, 0.95, 0.92), (0.90, 0.75, 0.25)])
    canvas.discs(places, 1.7, site.pick(shades, count), lift=2.0)


def golf_course(site: Site) -> None:
    """Winding fairways, smooth greens and pale bunkers among trees."""
    canvas, view = site.canvas, site.canvas.view
    clutter.ground(site)
    rough = Material(tuple(0.85 * value for value in site.palette.lawn.colour), 0.14, 0.10)
    canvas.paint(None, site.palette.grass)
    canvas.paint(canvas.slow * 8 - 2, rough, 0.8)
    clutter.surroundings(site, NORTH, site.between(0.28, 0.38) * view)
    middle = wander(site.rng, 4, canvas.x, 1.5 * view) * np.float32(0.12 * view)
    fairway = np.abs(canvas.y - middle + np.float32(0.05 * view)) - np.float32(site.between(0.09, 0.14) * view)
    mown = canvas.beyond(unit(site.between(0, 3.14)), 0.0) / np.float32(11.0)
    stripes = (np.floor(mown) - 2 * np.floor(mown / 2) - np.float32(0.5)) * np.float32(0.07)
    canvas.paint(fairway + 4 * canvas.medium, Material(site.palette.lawn.colour, 0.05, 0.03), pattern=stripes)
    hole = np.array([site.between(-0.2, 0.2), site.between(-0.2, 0.1)]) * view
    smooth = Material(tuple(1.16 * value for value in site.palette.lawn.colour), 0.03, 0.02)
    canvas.paint(canvas.disc(hole, site.between(0.07, 0.11) * view) + 3 * canvas.slow, smooth)
    for _ in range(int(site.attributes["bunkers"])):
        place = hole + site.direction() * (site.between(0.12, 0.3) * view)
        trap = canvas.disc(place, site.between(0.028, 0.06) * view) + np.float32(0.025 * view) * canvas.medium
        canvas.paint(trap - np.float32(1.2), rough, 0.7)
        canvas.paint(trap, site.palette.sand)
    if site.attributes["pond"] == "a pond":
        place = hole + site.direction() * (site.between(0.22, 0.34) * view)
        pond = canvas.disc(place, site.between(0.08, 0.13) * view) + np.float32(0.05 * view) * canvas.slow
        canvas.paint(pond - np.float32(1.5), rough)
        canvas.paint(pond, site.palette.water)
    places = site.anywhere(int(site.rng.integers(40, 110)))
    clear = np.abs(places[:, 1] + 0.05 * view) > 0.16 * view
    clutter.trees(site, places[clear], 2.8, 5.4)


LAYOUTS = {
    "beach": Layout(beach, 110.0),
    "farmland": Layout(farmland, 230.0),
    "forest": Layout(forest, 120.0),
    "golf course": Layout(golf_course, 180.0),
    "harbor": Layout(harbor, 105.0),
    "river": Layout(river, 190.0),
    "runway": Layout(runway, 180.0),
    "storage tanks": Layout(storage_tanks, 110.0),
}
