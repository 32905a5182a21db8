"""Procedural aerial-like scenes: what is in one (`draw_scene`) and what it looks like (`render`).

Both are pure functions. Chance comes only from `random` and `integers` of a PCG64 generator that is named here, not
from numpy's default, which may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from . import layouts_open, layouts_town
from .canvas import SUPERSAMPLE, Canvas, unit
from .site import Site, make_palette

LAYOUTS = {**layouts_open.LAYOUTS, **layouts_town.LAYOUTS}
CLASSES: tuple[str, ...] = tuple(sorted(LAYOUTS))

# What every scene has, unless its class says otherwise below; no caption tells these.
_COMMON: dict[str, tuple[str | int, ...]] = {
    "season": ("lush", "dry"),
    "ground": ("grass", "bare land"),
    "water": ("blue", "green", "dark"),
}
_GREEN = {"season": ("lush", "lush", "dry"), "ground": ("grass", "grass", "grass", "bare land")}
_BARE = {"season": ("lush", "dry", "dry"), "ground": ("grass", "bare land", "bare land", "bare land")}
# What a class may have, in the order in which it is drawn. A value given twice is twice as likely.
_OWN: dict[str, dict[str, tuple[str | int, ...]]] = {
    "baseball diamond": {
        "diamonds": (1, 1, 1, 2),
        "infield": ("grass", "grass", "bare"),
        "trees": ("few", "many"),
        "near": ("road", "trees", "buildings", "houses", "bare land"),
    },
    "beach": {
        "waves": (1, 2, 3),
        "crowd": ("empty", "empty", "busy"),
        "near": ("trees", "road", "buildings", "houses", "bare land"),
    },
    "dense residential": {"colour": ("red", "gray", "mixed"), "trees": ("few", "many"), "near": ("road",)},
    "farmland": {"fields": (2, 3, 4, 4, 6, 6), "near": ("road", "trees", "houses", "water", "bare land")},
    "forest": {"cover": ("dense", "dense", "open"), "near": ("trees", "trees", "road", "water", "lawn", "bare land")},
    "golf course": {
        **_GREEN,
        "bunkers": (1, 2, 3, 4, 5),
        "pond": ("a pond", "no pond"),
        "near": ("trees", "road", "houses", "water"),
    },
    "harbor": {
        "docks": (1, 2, 3),
        "boats": (4, 8, 12, 16, 20, 24, 28),
        "near": ("road", "buildings", "trees", "houses", "lawn"),
    },
    "intersection": {
        "traffic": ("light", "heavy"),
        "crosswalk": ("a crosswalk", "no crosswalk"),
        "near": ("buildings", "trees", "houses", "lawn", "bare land"),
    },
    "parking lot": {
        "filled": ("full", "full", "half", "empty"),
        "islands": ("trees", "none"),
        "near": ("buildings", "road", "trees", "lawn", "bare land"),
    },
    "river": {
        **_GREEN,
        "width": ("narrow", "wide", "wide"),
        "bridge": ("a bridge", "no bridge", "no bridge"),
        "near": ("trees", "road", "houses", "buildings", "bare land", "lawn"),
    },
    "runway": {
        **_BARE,
        "surface": ("concrete", "asphalt"),
        "planes": (0, 0, 1, 2),
        "near": ("lawn", "bare land", "road", "buildings", "trees"),
    },
    "sparse residential": {
        **_GREEN,
        "houses": (1, 1, 2, 3),
        "colour": ("red", "gray", "mixed"),
        "pool": ("a pool", "no pool", "no pool"),
        "trees": ("few", "many"),
        "near": ("trees", "lawn", "bare land", "water"),
    },
    "storage tanks": {
        **_BARE,
        "tanks": (2, 3, 4, 4, 6, 6, 9),
        "colour": ("white", "white", "gray", "brown"),
        "yard": ("concrete", "asphalt", "soil"),
        "near": ("road", "trees", "buildings", "water", "bare land"),
    },
    "tennis court": {
        **_GREEN,
        "courts": (1, 2, 2, 3, 4, 4, 6),
        "colour": ("green", "blue", "red"),
        "trees": ("few", "many"),
        "near": ("road", "buildings", "trees", "houses", "lawn"),
    },
}

_AIR = (0.66, 0.71, 0.77)  # the colour of haze
_ATTRIBUTES, _DETAILS = 1, 2  # streams: a caption change must not move a tree


@dataclass(frozen=True)
class Scene:
    """One scene: its class, the attributes that captions may tell, and the seed of all smaller details."""

    class_name: str
    attributes: Mapping[str, str | int] = field(hash=False)
    seed: int


def stream(class_name: str, seed: int, purpose: int) -> np.random.Generator:
    """The generator of one purpose for one scene."""
    return np.random.Generator(np.random.PCG64([CLASSES.index(class_name), seed, purpose]))


def draw_scene(class_name: str, seed: int) -> Scene:
    """The scene of `class_name` numbered `seed` (a non-negative integer)."""
    if class_name not in LAYOUTS:
        raise ValueError(f"unknown class {class_name!r}; the classes are: {', '.join(CLASSES)}")
    rng = stream(class_name, seed, _ATTRIBUTES)
    options = {**_COMMON, **_OWN[class_name]}
    drawn = {name: values[int(rng.integers(len(values)))] for name, values in options.items()}
    return Scene(class_name, drawn, seed)


def render(scene: Scene, size: int = 72) -> Image.Image:
    """The scene as an RGB image of `size` by `size` pixels; the same bytes every time."""
    rng = stream(scene.class_name, scene.seed, _DETAILS)
    layout = LAYOUTS[scene.class_name]
    view = layout.view * (0.8 + 0.45 * float(rng.random()))
    shift = (rng.random(2) - 0.5) * (0.22 * view)
    turn = unit(_draw_turn(rng))
    sun = unit(6.2832 * float(rng.random())) * (0.3 + 0.9 * float(rng.random()))
    palette = make_palette(rng, str(scene.attributes["season"]), str(scene.attributes["water"]))
    light = _draw_light(rng)
    canvas = Canvas(SUPERSAMPLE * size, view, shift, turn, sun, rng)
    layout.draw(Site(canvas, rng, palette, scene.attributes))
    return Image.fromarray(_develop(canvas, size, light))


def _draw_turn(rng: np.random.Generator) -> float:
    """An angle in radians. Two scenes in three lie nearly along the compass, as much that is built does."""
    anywhere, compass = 6.2832 * float(rng.random()), float(rng.random()) < 0.65
    if not compass:
        return anywhere
    return 1.5708 * int(rng.integers(4)) + 0.5 * (float(rng.random()) - 0.5)


def _draw_light(rng: np.random.Generator) -> dict[str, float]:
    """Exposure, haze and tint of one photograph."""
    return {
        "exposure": 0.82 + 0.36 * float(rng.random()),
        "haze": 0.14 * float(rng.random()) ** 2,
        "warmth": 0.10 * (float(rng.random()) - 0.5),
        "blur": 0.3 * float(rng.random()),
        "noise": 0.008 + 0.02 * float(rng.random()),
    }


def _develop(canvas: Canvas, size: int, light: dict[str, float]) -> np.ndarray:
    """The photograph (size, size, 3) uint8 of a painted canvas: lens, supersampling, air, film and sensor noise."""
    texture = (1 + np.float32(0.05) * canvas.slow + np.float32(0.05) * canvas.fast) * np.float32(
        light["exposure"] / SUPERSAMPLE**2
    )
    blur, haze, noise = (np.float32(light[name]) for name in ("blur", "haze", "noise"))
    levels = np.empty((size, size, 3), np.uint8)
    for channel, (tint, air) in enumerate(zip((1 + light["warmth"], 1.0, 1 - light["warmth"]), _AIR, strict=True)):
        fine = canvas.picture[channel] * texture
        small = np.zeros((size, size), np.float32)
        for down in range(SUPERSAMPLE):
            for right in range(SUPERSAMPLE):
                small += fine[down::SUPERSAMPLE, right::SUPERSAMPLE]
        small *= np.float32(tint)
        inner = small[1:-1, 1:-1]
        around = small[:-2, 1:-1] + small[2:, 1:-1] + small[1:-1, :-2] + small[1:-1, 2:]
        small[1:-1, 1:-1] = inner + blur * (around / 4 - inner)
        small += haze * (np.float32(air) - small)
        small += noise * (2 * canvas.rng.random(small.shape, dtype=np.float32) - 1)
        levels[:, :, channel] = np.floor(np.clip(small, 0, 1) * 255 + np.float32(0.5))
    return levels
