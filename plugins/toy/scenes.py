"""Procedural scenes seen from above: what is in one (`draw_scene`) and what it looks like (`render`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL.Image import Image

from .canvas import SUPERSAMPLE, Canvas, Chance, moved
from .layouts import LAYOUTS
from .scenery import Site

CLASSES: tuple[str, ...] = tuple(LAYOUTS)

# What may lie beside a scene of any class.
_NEAR = ("a road", "trees", "buildings", "bare land", "a lawn")
# What a class may have besides, as captions say it. A value given twice is twice as likely.
_HOMES = {"roofs": ("red", "gray"), "trees": ("few trees", "many trees"), "near": ("a road",)}
_OWN: dict[str, dict[str, tuple[str, ...]]] = {
    "beach": {"sea": ("calm", "rough"), "crowd": ("nobody", "many people"), "water": ("blue", "blue", "green")},
    "dense residential": {"houses": ("many",), **_HOMES},
    "farmland": {"fields": ("two", "four", "six")},
    "forest": {"cover": ("dense", "dense", "open"), "near": ("trees", "trees", "a road", "a lawn", "bare land")},
    "harbor": {"docks": ("two", "three"), "boats": ("several", "many"), "water": ("blue", "green")},
    "parking lot": {"filled": ("many", "many", "some"), "islands": ("trees", "no trees")},
    "river": {"width": ("narrow", "wide"), "bridge": ("a bridge", *2 * ("no bridge",)), "water": ("blue", "green")},
    "runway": {"surface": ("concrete", "asphalt"), "planes": ("no plane", "a plane", "two planes")},
    "sparse residential": {"houses": ("few",), **_HOMES},
    "storage tanks": {"tanks": ("two", "four", "six", "nine"), "colour": ("white", "white", "gray")},
}


@dataclass(frozen=True)
class Scene:
    """One scene: its class, the attributes that captions may tell, and the seed of all smaller details."""

    class_name: str
    attributes: Mapping[str, str] = field(hash=False)
    seed: int


def draw_scene(class_name: str, seed: int) -> Scene:
    """The scene of `class_name` numbered `seed`."""
    chance = Chance(f"attributes of {class_name} {seed}")
    options = {"near": _NEAR, **_OWN[class_name]}
    return Scene(class_name, {name: chance.pick(values) for name, values in options.items()}, seed)


def render(scene: Scene, size: int = 80) -> Image:
    """The scene as an RGB image of `size` by `size` pixels; the same bytes every time."""
    chance = Chance(f"details of {scene.class_name} {scene.seed}")
    draw, view = LAYOUTS[scene.class_name]
    view *= chance.between(0.85, 1.15) if chance.random() < 0.9 else chance.pick((0.6, 1.6))
    # Two scenes in three lie nearly along the compass, as much that is built does.
    compass = 1.5708 * chance.pick(range(4)) + chance.between(-0.2, 0.2)
    turn = chance.between(0, 6.2832) if chance.random() < 0.33 else compass
    centre = (chance.between(-0.08, 0.08) * view, chance.between(-0.08, 0.08) * view)
    shadow = moved((0.0, 0.0), chance.between(0, 6.2832), chance.between(0.3, 0.9))
    canvas = Canvas(SUPERSAMPLE * size, view, centre, turn, shadow, chance)
    draw(Site(canvas, chance, scene.attributes))
    exposure, haze, warmth = chance.between(0.85, 1.15), 0.14 * chance.random(), chance.between(-0.05, 0.05)
    return canvas.photograph(exposure, haze, warmth, noise=chance.pick(range(4, 11)))
