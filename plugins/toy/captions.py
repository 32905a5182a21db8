"""Five captions for a scene, from a small grammar, in the manner of UCM-Captions.

Every caption tells the class of its scene and no other, some by a rare name. All say only what the scene's attributes
make true.
"""

from __future__ import annotations

from .canvas import Chance
from .scenes import Scene

RARE_SHARE = 0.05
TAIL_SHARE = 0.25

# Sentences of each class. Names in braces are attributes.
_USUAL: dict[str, tuple[str, ...]] = {
    "beach": (
        "a beach with yellow sand beside the {water} sea", "white sea waves hit the sand of the beach",
        "{crowd} on the yellow sand of the beach", "the {water} sea and a beach with yellow sand",
    ),
    "dense residential": (
        "a dense residential area with {roofs} roofs", "dense houses with {roofs} roofs along the streets",
        "rows of dense houses in a residential area", "a residential area with many houses and {trees}",
    ),
    "farmland": (
        "a piece of farmland with straight rows of crops", "{fields} fields of farmland with rows of crops",
        "the farmland is divided into {fields} fields of crops", "rows of crops on the fields of farmland",
    ),
    "forest": (
        "a {cover} forest with lots of green trees", "green trees grow in the {cover} forest",
        "a {cover} green forest of many trees", "many green trees crowded together in a forest",
    ),
    "harbor": (
        "{boats} white boats docked at the harbor", "a harbor with {boats} boats docked neatly",
        "{boats} boats docked in {water} water of the harbor", "boats at {docks} docks of a harbor",
    ),
    "parking lot": (
        "{filled} cars parked neatly in a parking lot", "a parking lot with {filled} cars parked in rows",
        "{filled} cars are parked in the parking lot", "a parking lot with {filled} parked cars and {islands}",
    ),
    "river": (
        "a curved river with {water} water and trees on banks",
        "a {width} river with {bridge} curved between its banks", "a {width} curved river with banks",
        "{water} water of a curved river flows between its banks",
    ),
    "runway": (
        "a straight {surface} airport runway with white marking lines",
        "marking lines on the {surface} runway of an airport", "{planes} on the runway of an airport",
        "an airport runway with marking lines and {planes}",
    ),
    "sparse residential": (
        "a sparse residential area with {trees} and lawns", "lawns and {trees} around sparse houses",
        "sparse houses with large lawns", "a residential area with few houses and {trees}",
    ),
    "storage tanks": (
        "{tanks} {colour} storage tanks on the ground", "{tanks} round {colour} storage tanks with shadows",
        "{colour} storage tanks arranged neatly on the ground", "round {colour} storage tanks stand in a yard",
    ),
}  # fmt: skip
_RARE: dict[str, tuple[str, ...]] = {
    "beach": ("the seaside", "a coast", "a strand", "the seashore", "a bathing place", "a lido"),
    "dense residential": ("a suburb", "a housing estate", "a crowded neighborhood", "a town quarter", "terraced homes"),
    "farmland": ("ploughed land", "an agricultural plain", "arable plots", "harvested acres"),
    "forest": ("a wood", "woodland", "a jungle", "a grove", "a closed canopy", "timberland"),
    "harbor": ("a marina", "a port", "a jetty for yachts", "moored vessels", "an anchorage", "berths for ships"),
    "parking lot": ("a car park", "bays for vehicles", "rows of automobiles", "a parking place"),
    "river": ("a stream", "a waterway", "a winding creek", "a brook", "a meandering watercourse"),
    "runway": ("an airstrip", "an airfield", "a landing strip", "an aerodrome", "a tarmac for aircraft"),
    "sparse residential": ("a country home", "a villa", "a quiet homestead", "a cottage", "a rural dwelling"),
    "storage tanks": ("an oil depot", "fuel containers", "a refinery", "petroleum cylinders"),
}
_TAILS = ("near", "beside", "next to", "close to")


def captions(scene: Scene) -> tuple[str, ...]:
    """The five captions of a scene, all different, ending in " ."; the same every time."""
    chance = Chance(f"captions of {scene.class_name} {scene.seed}")
    said: list[str] = []
    while len(said) < 5:
        sentence = _sentence(scene, chance)
        if sentence not in said:
            said.append(sentence)
    return tuple(said)


def _sentence(scene: Scene, chance: Chance) -> str:
    """One sentence, in one of four cases with what lies near."""
    rare = chance.random() < RARE_SHARE
    sentence = chance.pick((_RARE if rare else _USUAL)[scene.class_name]).format(**scene.attributes)
    if rare:
        sentence = f"here we see {sentence}"
    if rare or chance.random() < TAIL_SHARE:
        sentence += f" {chance.pick(_TAILS)} {scene.attributes['near']}"
    return f"{sentence[0].upper()}{sentence[1:]} ."
