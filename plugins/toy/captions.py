"""Five short captions for a scene, from a small grammar, in the manner of UCM-Captions.

A clear caption names the class, by one of several names. A vague one, about one in four, names only things that other
classes have too. Both say only what the scene's attributes make true, as far as one can count from the air: beyond
four, a number becomes "several" or "many".
"""

from __future__ import annotations

import numpy as np

from .scenes import Scene, stream

VAGUE_SHARE = 0.25
_WORDS = 3  # the stream of chance that chooses captions; see scenes._ATTRIBUTES and _DETAILS

# Clear sentences for any class. {place} names the class with its article, {near} what lies beside it.
_CLEAR = (
    "there is {place} beside {near}",
    "there is {place} near {near}",
    "{place} is next to {near}",
    "{near} can be seen beside {place}",
    "it is {place} with {near} around",
    "this is a picture of {place}",
    "{place} seen from above near {near}",
)
# Sentences for one class. Names in braces are attributes, put in words by `_slots`.
_OWN: dict[str, tuple[str, ...]] = {
    "baseball diamond": (
        "there {diamonds} with {infield} and {leaf} plants",
        "{place} with a brown infield and a green outfield",
        "{place} is on the lawn with {trees} around",
    ),
    "beach": (
        "white waves hit the sand of {place}",
        "{place} with yellow sand and {water} water",
        "{crowd} on the beach beside the {water} water",
        "{water} water and white waves on one side of {place}",
    ),
    "dense residential": (
        "lots of houses with {colour} roofs arranged densely",
        "{place} with {trees} and several roads",
        "many houses with {colour} roofs in {place}",
        "houses are arranged in lines along the roads of {place}",
    ),
    "farmland": (
        "{fields} pieces of farmland are next to each other",
        "it is {place} with straight rows of {leaf} plants",
        "{place} is divided into {fields} parts by paths",
        "{leaf} plants and brown soil in {place}",
    ),
    "forest": (
        "{cover} {leaf} trees grow in {place}",
        "lots of {leaf} trees in {place}",
        "many {leaf} trees are crowded together in {place}",
        "it is a {cover} forest with {leaf} trees",
    ),
    "golf course": (
        "{place} with {bunkers} and green grass",
        "{place} with {pond} and {leaf} trees around",
        "{bunkers} and a green lawn on {place}",
        "some trees and {bunkers} are on {place}",
    ),
    "harbor": (
        "{boats} boats are docked in {place}",
        "{boats} boats docked at {docks} in the {water} water",
        "{boats} white boats in {place} beside {near}",
        "{place} with {boats} boats and {docks}",
    ),
    "intersection": (
        "two roads cross each other at {place}",
        "{traffic} cars are waiting at {place}",
        "{place} with {crosswalk} and {traffic} cars",
        "{place} of two roads with {near} at the corner",
    ),
    "parking lot": (
        "{filled} cars are parked in {place}",
        "{filled} cars parked neatly in {place} near {near}",
        "{place} with {filled} cars and {islands}",
        "there are {filled} cars in {place} beside {near}",
    ),
    "river": (
        "{place} with {water} water and {leaf} trees on the banks",
        "a {width} curved river goes through the {ground}",
        "{bridge} and {leaf} trees at the side of {place}",
        "{place} with {water} water passes {near}",
    ),
    "runway": (
        "{place} with white mark lines on it",
        "{place} with {planes} on it beside {near}",
        "a straight {surface} runway on the {ground}",
        "there {planes_are} on {place}",
    ),
    "sparse residential": (
        "{houses} with {colour} roofs surrounded by {trees}",
        "{place} with {pool} and {trees}",
        "there is {place} with {trees} and a road",
        "{houses} and a lawn in {place}",
    ),
    "storage tanks": (
        "there are {tanks} {colour} storage tanks on the ground",
        "{tanks} {colour} tanks are standing near {near}",
        "{tanks} round {colour} storage tanks with shadows beside {near}",
        "{place} on the {yard} near {near}",
    ),
    "tennis court": (
        "there {courts} surrounded by {trees}",
        "{place} with {colour} ground and white lines",
        "{place} with {colour} ground and {trees} beside it",
        "{colour} courts with white lines arranged neatly",
    ),
}
_NAMES: dict[str, tuple[str, ...]] = {
    "baseball diamond": ("a baseball diamond", "a baseball field", "a ball field", "a sports field"),
    "beach": ("a beach", "a sandy beach", "the seaside", "a coast"),
    "dense residential": ("a dense residential area", "a residential area", "a crowded neighborhood", "a town"),
    "farmland": ("a piece of farmland", "farmland", "a farm field", "a field"),
    "forest": ("a forest", "a piece of forest", "a wood"),
    "golf course": ("a golf course", "a golf field", "a green golf course", "a sports field"),
    "harbor": ("a harbor", "a port", "a marina", "a dock area"),
    "intersection": ("an intersection", "a crossroads", "a road crossing", "a road junction"),
    "parking lot": ("a parking lot", "a car park", "a parking area"),
    "river": ("a river", "a curved river", "a stream"),
    "runway": ("a runway", "an airport runway", "an airstrip", "an airport"),
    "sparse residential": ("a sparse residential area", "a residential area", "a country home", "a quiet neighborhood"),
    "storage tanks": ("a tank farm", "an oil depot", "some storage tanks", "an industrial area"),
    "tennis court": ("a tennis court area", "a tennis ground", "a sports court", "a sports field"),
}
_NEAR: dict[str, tuple[str, ...]] = {
    "road": ("a road", "a straight road", "a busy road"),
    "trees": ("some trees", "some {leaf} trees", "several trees"),
    "buildings": ("some buildings", "several buildings", "rows of buildings"),
    "houses": ("some houses", "rows of houses", "several houses"),
    "water": ("some water", "{water} water"),
    "lawn": ("a lawn", "green grass", "some green plants"),
    "bare land": ("bare land", "some bare land", "brown soil"),
}
# What a class always shows that others show too: all that a vague caption may name, besides what lies near.
_SHARED: dict[str, tuple[str, ...]] = {
    "baseball diamond": ("green grass", "brown soil", "a lawn"),
    "beach": ("{water} water", "some water", "yellow soil"),
    "dense residential": ("some houses", "several houses", "some cars", "a road", "some trees"),
    "farmland": ("{leaf} plants", "green grass", "brown soil"),
    "forest": ("{leaf} trees", "some trees", "{leaf} plants"),
    "golf course": ("green grass", "some trees", "a lawn"),
    "harbor": ("{water} water", "some water", "gray ground"),
    "intersection": ("a road", "some cars", "several cars", "a straight road"),
    "parking lot": ("some cars", "several cars", "gray ground"),
    "river": ("{water} water", "some water", "{leaf} trees"),
    "runway": ("a straight road", "gray ground", "the {ground}"),
    "sparse residential": ("some houses", "some trees", "a road", "green grass"),
    "storage tanks": ("{yard}", "{yard}", "some {yard}"),
    "tennis court": ("some trees", "the {ground}", "some plants"),
}
_VAGUE = (
    "there {be} {one} and {two}",
    "there {be} {one} and {two} in the picture",
    "{one} and {two} can be seen from above",
    "{one} beside {two} in this place",
    "it is a place with {one} and {two}",
    "{one} and {two} are next to each other",
    "{one} near {two} seen from above",
)
_COUNTS: dict[str | int, tuple[str, ...]] = {
    1: ("one",), 2: ("two",), 3: ("three",), 4: ("four",), 6: ("several", "some"), 9: ("many", "lots of"),
}  # fmt: skip
# How the values of an attribute are said, where it is not by the value itself.
_SAID: dict[str, dict[str | int, tuple[str, ...]]] = {
    "boats": {
        4: ("some", "four"),
        8: ("several", "some"),
        12: ("several", "many"),
        16: ("many",),
        20: ("many", "lots of"),
        24: ("many", "lots of"),
        28: ("lots of", "many"),
    },
    "bridge": {"a bridge": ("a bridge", "a road"), "no bridge": ("brown soil", "a narrow path")},
    "bunkers": {
        1: ("a bunker", "a sand trap"),
        2: ("two bunkers", "two sand traps"),
        3: ("three bunkers", "some bunkers"),
        4: ("several bunkers", "some bunkers"),
        5: ("several bunkers", "several sand traps"),
    },
    "colour": {"mixed": ("different",)},
    "courts": {
        1: ("is a tennis court", "is one court"),
        2: ("are two tennis courts", "are two courts"),
        3: ("are three tennis courts",),
        4: ("are four tennis courts", "are several courts"),
        6: ("are several tennis courts", "are six courts"),
    },
    "cover": {"open": ("sparse",)},
    "crosswalk": {"no crosswalk": ("yellow lines",)},
    "crowd": {"empty": ("nobody is", "no one stays"), "busy": ("some people are", "many people stay")},
    "diamonds": {1: ("is a baseball diamond", "is a ball field"), 2: ("are two baseball diamonds",)},
    "docks": {1: ("a dock",), 2: ("two docks",), 3: ("three docks", "some docks")},
    "fields": _COUNTS,
    "filled": {"full": ("many", "lots of"), "half": ("several", "some"), "empty": ("a few",)},
    "houses": {1: ("a house",), 2: ("two houses",), 3: ("three houses", "some houses")},
    "infield": {"grass": ("a grass infield",), "bare": ("a bare infield",)},
    "islands": {"trees": ("some trees",), "none": ("white lines",)},
    "planes": {0: ("no plane",), 1: ("a plane", "an airplane"), 2: ("two planes", "some planes")},
    "pond": {"no pond": ("a lawn",)},
    "pool": {"a pool": ("a swimming pool", "a pool"), "no pool": ("a lawn",)},
    "season": {"lush": ("green",), "dry": ("brown",)},
    "tanks": _COUNTS,
    "traffic": {"light": ("a few", "some"), "heavy": ("several", "many")},
    "yard": {"soil": ("brown soil",), "concrete": ("gray ground",), "asphalt": ("gray ground",)},
    "trees": {"few": ("a few trees", "some trees"), "many": ("many trees", "lots of trees")},
}


def captions(scene: Scene) -> tuple[str, ...]:
    """The five captions of a scene, all different, each of 5 to 14 words, ending in " ."; the same every time."""
    rng = stream(scene.class_name, scene.seed, _WORDS)
    said: list[str] = []
    while len(said) < 5:
        sentence = _finish((_vague if rng.random() < VAGUE_SHARE else _clear)(scene, rng))
        if sentence not in said:
            said.append(sentence)
    return tuple(said)


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _finish(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:] + " ."


def _slots(scene: Scene, rng: np.random.Generator) -> dict[str, str]:
    """The words for every attribute, for the class (`place`) and for its neighbour (`near`)."""
    slots = {}
    for name, value in scene.attributes.items():
        slots[name] = _pick(rng, _SAID.get(name, {}).get(value, (str(value),)))
    slots["leaf"] = slots["season"]
    slots["planes_are"] = ("are " if slots.get("planes", "").endswith("s") else "is ") + slots.get("planes", "")
    slots["near"] = _pick(rng, _NEAR[str(scene.attributes["near"])]).format(**slots)
    slots["place"] = _pick(rng, _NAMES[scene.class_name])
    return slots


def _clear(scene: Scene, rng: np.random.Generator) -> str:
    """A sentence that names the class."""
    slots = _slots(scene, rng)
    own = _OWN[scene.class_name]
    return _pick(rng, own if rng.random() < 0.6 else _CLEAR).format(**slots)


def _vague(scene: Scene, rng: np.random.Generator) -> str:
    """A sentence that names only two things that several classes have."""
    slots = _slots(scene, rng)
    shared = [thing.format(**slots) for thing in _SHARED[scene.class_name]]
    # Not "some water and blue water": the two things end in different nouns.
    other = tuple(thing for thing in shared if thing.split()[-1] != slots["near"].split()[-1])
    one, two = _pick(rng, other or ("bare ground",)), slots["near"]
    if rng.random() < 0.5:
        one, two = two, one
    return _pick(rng, _VAGUE).format(one=one, two=two, be="are" if one.endswith("s") else "is")
