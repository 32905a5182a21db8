"""A small software rasteriser for scenes seen from above.

Every pixel comes from float32 additions, products, quotients, square roots, floors and comparisons in numpy, which
IEEE 754 fixes bit by bit. There is no libm call on an array, no BLAS, no sum of more than two numbers and no Pillow
drawing, whose edge rules have changed between versions: the bytes are meant not to depend on the operating system, the
processor or Pillow.

Lengths are metres in the world and pixels on the canvas. Colours are sRGB in [0, 1].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

SUPERSAMPLE = 2

_CHUNK = 24_576  # window pixels worked on at once: larger arrays are slower, as they leave the cache
_SHADE = np.array([0.56, 0.53, 0.44], np.float32)  # light lost in a shadow: sky light keeps it bluish

Vector = np.ndarray  # (2,) float64, metres unless said otherwise


class Material(NamedTuple):
    """A textured surface: its mean colour, and how much slow and fast noise change its brightness."""

    colour: tuple[float, float, float]
    mottle: float = 0.08
    grain: float = 0.06


def unit(angle: float) -> Vector:
    """Unit vector at `angle` radians; rounded, so that the last bit of a platform's cosine is not seen."""
    return np.array([round(math.cos(angle), 6), round(math.sin(angle), 6)])


def left_of(direction: Vector) -> Vector:
    """The unit vector a quarter turn from `direction`."""
    return np.array([-direction[1], direction[0]])


def value_noise(rng: np.random.Generator, cells: int, pixels: int) -> np.ndarray:
    """Smooth noise of shape (pixels, pixels), float32 in [-1, 1], with `cells` lattice cells across."""
    lattice = (2 * rng.random((cells + 1, cells + 1)) - 1).astype(np.float32)
    low, weight = _lattice_places(cells, pixels)
    rows = lattice[low] + weight[:, None] * (lattice[low + 1] - lattice[low])
    return rows[:, low] + weight * (rows[:, low + 1] - rows[:, low])


def wander(rng: np.random.Generator, cells: int, places: np.ndarray, span: float) -> np.ndarray:
    """Smooth random function in [-1, 1] of `places` (any shape), one knot every span / cells over [-span, span]/2."""
    knots = (2 * rng.random(cells + 2) - 1).astype(np.float32)
    at = np.clip((places / np.float32(span) + np.float32(0.5)) * cells, 0, cells)
    low = np.floor(at).astype(np.int64)
    part = at - low
    part = part * part * (3 - 2 * part)
    return knots[low] + part * (knots[low + 1] - knots[low])


def _lattice_places(cells: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower lattice index (pixels,) int and smoothed weight (pixels,) float32 of each pixel centre."""
    at = (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) * np.float32(cells) / np.float32(pixels)
    low = np.floor(at).astype(np.int64)
    part = at - low.astype(np.float32)
    return low, part * part * (3 - 2 * part)


class Canvas:
    """The picture being painted, with its camera and its sun.

    `picture` is (3, side, side) float32: channels first, because numpy is slow along an axis of three.
    `x` and `y` are the world coordinates of the pixel centres, (side, side) float32 metres.
    `slow`, `medium` and `fast` are noise fields of that shape in about [-1, 1].
    """

    def __init__(
        self, side: int, view: float, centre: Vector, turn: Vector, sun: Vector, rng: np.random.Generator
    ) -> None:
        """Look at `centre` with `view` metres across, world x axis along `turn`; `sun` is shadow metres per metre."""
        self.side, self.view, self.centre, self.turn, self.rng = side, view, centre, turn, rng
        self.scale = side / view
        self.sun, self.throw = sun, math.sqrt(float(sun[0] * sun[0] + sun[1] * sun[1]))
        self.light = (self._on_canvas(-sun) / self.throw).astype(np.float32)  # towards the sun, canvas axes
        steps = ((np.arange(side) + 0.5) / self.scale - view / 2).astype(np.float32)
        cosine, sine = (np.float32(value) for value in turn)
        self.x = np.float32(centre[0]) + (cosine * steps[None, :] + sine * steps[:, None])
        self.y = np.float32(centre[1]) + (cosine * steps[:, None] - sine * steps[None, :])
        self.slow = value_noise(rng, 4, side) + np.float32(0.5) * value_noise(rng, 9, side)
        self.medium = value_noise(rng, 19, side)
        self.fast = value_noise(rng, 72, side)
        self.picture = np.zeros((3, side, side), np.float32)

    # ---- regions: one distance per pixel, metres, negative inside ----

    def beyond(self, direction: Vector, offset: float) -> np.ndarray:
        """The half plane on the far side of the line `offset` metres along `direction`."""
        return np.float32(offset) - (self.x * np.float32(direction[0]) + self.y * np.float32(direction[1]))

    def band(self, point: Vector, direction: Vector, width: float) -> np.ndarray:
        """The endless strip of `width` metres through `point` along `direction`."""
        across = left_of(direction)
        return np.abs(self.beyond(across, float(point[0] * across[0] + point[1] * across[1]))) - np.float32(width / 2)

    def box(self, point: Vector, size: tuple[float, float], direction: Vector) -> np.ndarray:
        """The rectangle of (length, width) metres around `point`, its length along `direction`."""
        return np.maximum(self.band(point, left_of(direction), size[0]), self.band(point, direction, size[1]))

    def disc(self, point: Vector, radius: float) -> np.ndarray:
        """The disc of `radius` metres around `point`."""
        right, down = self.x - np.float32(point[0]), self.y - np.float32(point[1])
        return np.sqrt(right * right + down * down) - np.float32(radius)

    def ragged(self, distance: np.ndarray, amount: float) -> np.ndarray:
        """`distance` with a natural, wandering edge: up to about `amount` metres in and out."""
        return distance + np.float32(amount) * (self.medium + np.float32(0.5) * self.fast)

    def paint(self, distance: np.ndarray | None, material: Material, alpha: float = 1.0, pattern=0.0) -> None:
        """Cover the inside of `distance` (everything, if None) with `material`; `pattern` adds to its brightness."""
        if distance is not None and distance.min() * self.scale > 0.5:
            return
        tone = 1 + np.float32(material.mottle) * self.slow + np.float32(material.grain) * self.fast + pattern
        if distance is None:
            np.multiply(np.asarray(material.colour, np.float32)[:, None, None], tone, out=self.picture)
            return
        cover = np.clip(0.5 - distance * np.float32(self.scale), 0, 1) * np.float32(alpha)
        for plane, level in zip(self.picture, material.colour, strict=True):
            plane += cover * (np.float32(level) * tone - plane)

    # ---- objects: many small shapes at once, each painted in its own window ----

    def boxes(self, places, sizes, directions, colours, *, lift=0.0, casting=None, ridge=0.0, alpha=1.0) -> None:
        """Paint N rectangles in order.

        Args:
            places: (N, 2) centres, metres.
            sizes: (N, 2) or (2,) length and width, metres.
            directions: (N, 2) or (2,) unit vectors of the lengths.
            colours: (N, 3) or (3,).
            lift: height in metres, which sets the shadow; none for 0.
            casting: how many of the first boxes throw one; all, if None.
            ridge: how much the two long halves differ in light, as the slopes of a gable roof do.
            alpha: opacity.
        """
        places = np.asarray(places, np.float64).reshape(-1, 2)
        half = np.broadcast_to(np.asarray(sizes, np.float64), places.shape) * (self.scale / 2)
        axes = self._on_canvas(np.broadcast_to(np.asarray(directions, np.float64), places.shape))
        colours = np.broadcast_to(np.asarray(colours, np.float64), (len(places), 3))
        centres, seen = self._seen(places, np.sqrt((half * half).sum(axis=1)), lift)
        half, axes, colours = (values[seen].astype(np.float32) for values in (half, axes, colours))
        length, width = half[:, 0, None, None], half[:, 1, None, None]
        cosine, sine = axes[:, 0, None, None], axes[:, 1, None, None]
        thin = np.minimum(2 * width, 1)  # a line thinner than a pixel covers only its width of it
        slope = np.float32(ridge) * (cosine * self.light[1] - sine * self.light[0])

        def cover(part: slice, right, down):
            along = right * cosine[part] + down * sine[part]
            across = down * cosine[part] - right * sine[part]
            outside = np.maximum(np.abs(along) - length[part], np.abs(across) - width[part])
            return np.minimum(np.clip(np.float32(0.5) - outside, 0, 1), thin[part])

        def tone(part: slice, right, down):
            return 1 + np.where(down * cosine[part] > right * sine[part], slope[part], -slope[part])

        reach = float(np.sqrt((half * half).sum(axis=1)).max(initial=0))
        casting = len(centres) if casting is None else int(np.count_nonzero(seen[:casting]))
        self._stamp(centres, reach, cover, tone if ridge else None, colours, lift, alpha, casting)

    def discs(self, places, radii, colours, *, lift=0.0, dome=0.0, rough=0.0, alpha=1.0) -> None:
        """Paint N discs in order: `places` (N, 2), `radii` (N,) or one, metres; other arguments as for `boxes`.

        `dome` brightens the side that faces the sun. `rough` squashes each disc at random by up to that share, as a
        crown is, and throws its shadow whole: there is light under a crown, and none beside the foot of a wall.
        """
        places = np.asarray(places, np.float64).reshape(-1, 2)
        radii = np.broadcast_to(np.asarray(radii, np.float64), len(places)) * self.scale
        colours = np.broadcast_to(np.asarray(colours, np.float64), (len(places), 3))
        centres, seen = self._seen(places, radii, lift)
        radius, colours = radii[seen].astype(np.float32)[:, None, None], colours[seen].astype(np.float32)
        squash = (2 * self.rng.random((2, len(radius), 1, 1)) - 1).astype(np.float32) * np.float32(rough) / radius

        def cover(part: slice, right, down):
            across, along = right * right, down * down
            distance = np.sqrt(across + along)
            outside = distance - radius[part]
            if rough:
                outside += squash[0, part] * across - squash[0, part] * along
                outside += (squash[1, part] * right) * down
                outside = np.maximum(outside, distance - 1.5 * radius[part])  # a quadratic squash grows without end
            return np.clip(np.float32(0.5) - outside, 0, 1)

        def tone(part: slice, right, down):
            return 1 + np.float32(dome) * (right * self.light[0] + down * self.light[1]) / radius[part]

        reach = float(radius.max(initial=0)) * (1 + rough)
        self._stamp(centres, reach, cover, tone if dome else None, colours, lift, alpha, len(centres), swept=not rough)

    def _on_canvas(self, vectors: np.ndarray) -> np.ndarray:
        """World vectors (..., 2) turned into canvas axes."""
        cosine, sine = self.turn
        return vectors[..., :1] * np.array([cosine, sine]) + vectors[..., 1:] * np.array([-sine, cosine])

    def _seen(self, places: np.ndarray, reach: np.ndarray, lift: float) -> tuple[np.ndarray, np.ndarray]:
        """Canvas centres (M, 2) pixels of the objects that touch the picture, and their (N,) bool mask."""
        centres = self._on_canvas(places - self.centre) * self.scale + self.side / 2
        margin = reach[:, None] + 2 + lift * self.scale * self.throw
        seen = ((centres > -margin) & (centres < self.side + margin)).all(axis=1)
        return centres[seen], seen

    def _stamp(self, centres, reach, cover, tone, colours, lift, alpha, casting, swept=True) -> None:
        """Shade the shadows of the first `casting` of N objects, then paint all N.

        `cover` and `tone` take a slice of the objects and window offsets right (n, 1, K) and down (n, K, 1) from their
        centres, pixels, and give opacities and brightnesses (n, K, K).
        """
        if not len(centres):
            return
        flat = self.picture.reshape(3, -1)
        if lift and casting:
            throw = (self._on_canvas(self.sun) * (lift * self.scale)).astype(np.float32)
            length = throw[0] * throw[0] + throw[1] * throw[1]

            def shade(part: slice, right, down):
                share = np.float32(0.7)  # of the throw, at the middle of a crown
                if swept:  # the shadow of a wall is its footprint, swept along the throw
                    share = np.clip(right * (throw[0] / length) + down * (throw[1] / length), 0, 1)
                return cover(part, right - share * throw[0], down - share * throw[1])

            pixels, _, amount, _ = self._touched(centres[:casting], reach + math.sqrt(float(length)), shade)
            shadow = np.zeros(self.side * self.side, np.float32)
            np.maximum.at(shadow, pixels, amount)
            shade_of = shadow[pixels] * np.float32(alpha)  # a pixel met twice gets the same value twice
            for plane, loss in zip(flat, _SHADE, strict=True):
                plane[pixels] = plane[pixels] * (1 - loss * shade_of)
        pixels, objects, amount, brightness = self._touched(centres, reach, cover, tone)
        # One object a pixel: the last that covers it whole, else the last that touches it. Painting them one after
        # the other would differ only in half-covered pixels, and would cost several times as much.
        rank = np.arange(len(pixels), dtype=np.int32)
        rank[amount > 0.99] += np.int32(len(pixels))
        top = np.full(self.side * self.side, -1, np.int32)
        np.maximum.at(top, pixels, rank)
        won = np.flatnonzero(top[pixels] == rank)
        pixels, objects, brightness, amount = (
            pixels[won],
            objects[won],
            brightness[won],
            amount[won] * np.float32(alpha),
        )
        for plane, levels in zip(flat, colours.T, strict=True):
            under = plane[pixels]
            plane[pixels] = under + amount * (levels[objects] * brightness - under)

    def _touched(self, centres, reach, cover, tone=None) -> tuple[np.ndarray, ...]:
        """The P (object, pixel) pairs that touch: flat pixel and object, int; opacity and brightness, float32."""
        half = math.ceil(reach) + 1
        window = 2 * half + 1
        corners = np.floor(centres).astype(np.int64) - half
        if window > self.side:  # large objects share one window, the canvas
            window, corners = self.side, np.zeros_like(corners)
        steps = np.arange(window) + 0.5
        found = []
        chunk = max(1, _CHUNK // window**2)
        for first in range(0, len(centres), chunk):
            part = slice(first, min(first + chunk, len(centres)))
            offsets = ((corners[part] - centres[part])[:, :, None] + steps).astype(np.float32)
            right, down = offsets[:, 0, None, :], offsets[:, 1, :, None]
            covers = cover(part, right, down)
            columns, rows = (corners[part, axis, None] + np.arange(window) for axis in (0, 1))
            inside_x, inside_y = ((places >= 0) & (places < self.side) for places in (columns, rows))
            hit = (covers > 0) & inside_y[:, :, None] & inside_x[:, None, :]
            touched = np.flatnonzero(hit)
            pixels = (rows[:, :, None] * self.side + columns[:, None, :]).reshape(-1)[touched]
            objects = np.repeat(np.arange(first, first + len(hit)), np.count_nonzero(hit, axis=(1, 2)))
            shine = np.ones(len(touched), np.float32) if tone is None else tone(part, right, down).reshape(-1)[touched]
            found.append((pixels, objects, covers.reshape(-1)[touched], shine))
        return tuple(np.concatenate(each) for each in zip(*found, strict=True))
