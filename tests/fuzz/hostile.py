"""What hostile files hold: a valid document with some values replaced, dropped, repeated or nested; damaged bytes."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fuzz.sandbox import ABROAD
from hypothesis import strategies as st

PATHS = (
    "..", ".", "../victim", "x/../../victim", "../../victim", "../../../victim", "victim/../..", "./keep.txt",
    f"{ABROAD}/victim", f"{ABROAD}", f"//{ABROAD}/victim", "~", "~root", "$HOME", "C:\\victim", "..\\victim",
    "\\\\a\\b", "a//b", "a/", "CON", "*", "[1]", "**/*", ".harness-fetched.json", "record.json", "-rf",
)  # fmt: skip
"""Names that lead out of a folder, mean something to the system, or are patterns. None leads out of the test's room."""

TEXTS = (
    "", " ", "\n", "a\nb", "\t", "\0", "a\0b", "\x1b[2J\x1b]0;owned\x07", "\x9b31m", "\x7f", "\u202egpj.exe", "\ufeff",
    "\u2028", "\x85", "\ud800", "e\u0301", "\u00e9", "\uff11\uff12", "\U0001f469\u200d\U0001f680", "None", "nan",
    "null", "true", "0", "-1", "1e999", "Infinity", "0x10", "1_000", "{0}", "%s", "{", "]", '"', "'", "\\", "x" * 300,
    "long " * 2000, "a/" * 2500, "(" * 300, "<b>&amp;", "\\input{/etc/passwd}", "'; DROP TABLE runs; --", "a=b,c",
)  # fmt: skip

NUMBERS = (
    0, 1, -1, 2, 7, 255, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 0.5, -0.0, 1.5, 1e-320, 1e308,
    math.inf, -math.inf, math.nan, True, False,
)  # fmt: skip

DEPTHS = (3, 40, 120)
"""Deeper ones are among the bytes: they would be too deep for the test itself."""


def nested(depth: int, inner: Any = 1, key: str | None = None) -> Any:
    """A value in lists of lists, or in objects of objects."""
    for _ in range(depth):
        inner = [inner] if key is None else {key: inner}
    return inner


TEXT = (
    st.sampled_from(PATHS)
    | st.sampled_from(TEXTS)
    | st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), max_size=12)
)
NUMBER = st.sampled_from(NUMBERS) | st.integers() | st.floats()
VALUE = (
    TEXT
    | NUMBER
    | st.none()
    | st.sampled_from([[], {}, [[]], [None], [{}], {"": ""}, {"name": 1}, ["a", "a"], [1, "a", None]]).map(
        copy.deepcopy
    )
    | st.lists(TEXT, max_size=3)
    | st.builds(nested, st.sampled_from(DEPTHS), key=st.none() | st.just("a"))
)
"""Anything that JSON or TOML can say; not all of it in both."""


def _places(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield (*above, key)
        yield from _places(value, (*above, key))


def _at(tree: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        tree = tree[key]
    return tree


def _alike(value: Any) -> st.SearchStrategy[Any]:
    """Hostile values of the same type, which get past the first question."""
    if isinstance(value, str):
        return TEXT
    if isinstance(value, int | float):
        return NUMBER.filter(lambda number: isinstance(number, float) == isinstance(value, float))
    return VALUE


def _changed(tree: Any, place: tuple[Any, ...], how: str, value: Any, name: str) -> Any:
    holder, key = _at(tree, place[:-1]), place[-1]
    if how in ("replace", "alike"):
        holder[key] = value
    elif how == "drop":
        del holder[key]
    elif how == "nest":
        holder[key] = [holder[key]] if name < "b" else {name: holder[key]}
    elif how == "repeat":
        if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[name] = copy.deepcopy(holder[key])
    elif isinstance(holder, dict):  # rename
        holder[name] = holder.pop(key)
    return tree


@st.composite
def changed(draw: st.DrawFn, valid: Any, places: Sequence[tuple[Any, ...]] = (), most: int = 3) -> Any:
    """A valid document, of dicts and lists, with up to ``most`` changes.

    Args:
        draw: Hypothesis's.
        valid: The document.
        places: Where it holds what may become a path of ours; a half of all documents have a hostile text there.
        most: How many changes at most; none is one of the possibilities.
    """
    tree = copy.deepcopy(valid)
    if places and draw(st.booleans()):
        place = draw(st.sampled_from(places))
        tree = _changed(tree, place, "replace", draw(TEXT), "")
    for _ in range(draw(st.integers(0, most))):
        everywhere = list(_places(tree))
        if not everywhere:
            break
        place = draw(st.sampled_from(everywhere))
        how = draw(st.sampled_from(["alike", "alike", "alike", "replace", "drop", "nest", "repeat", "rename"]))
        value = draw(_alike(_at(tree, place)) if how == "alike" else VALUE)
        tree = _changed(tree, place, how, value, draw(TEXT))
    return tree


OTHER_THINGS = (
    b"",
    b"\n",
    b"<!DOCTYPE html><html><head><title>404</title></head></html>",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n",
    b"PK\x03\x04" + bytes(40),
    b"PK\x05\x06" + bytes(18),
    b"\x1f\x8b\x08" + bytes(20),
    b"\x89PNG\r\n\x1a\n" + bytes(20),
    b"\x89HDF\r\n\x1a\n" + bytes(600),
    b"MATLAB 5.0 MAT-file" + bytes(600),
    b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16,
    b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    b"%!PS-Adobe-3.0 EPSF-3.0\n",
    b"[" * 100_000,
    b'{"a":' * 20_000,
    "ü".encode("utf-16"),
    b"\xff" * 40,
    bytes(200),
)
"""Files that are something else than their name says."""


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Bytes of a file cut, flipped, filled up, or replaced by those of something else."""
    how = draw(st.sampled_from(["cut", "flip", "flip", "fill", "other"]))
    if how == "other":
        return draw(st.sampled_from(OTHER_THINGS))
    at = draw(st.integers(0, max(0, len(valid) - 1)))
    if how == "cut":
        return valid[:at]
    if how == "fill":
        return valid[:at] + draw(st.sampled_from(OTHER_THINGS) | st.binary(max_size=8)) + valid[at:]
    content = bytearray(valid)
    for place in draw(st.lists(st.integers(0, max(0, len(valid) - 1)), max_size=6)):
        if content:
            content[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


def as_json(tree: Any) -> bytes:
    """A document as JSON; NaN, Infinity and lone surrogates included, as Python writes them."""
    return json.dumps(tree).encode()


def _in_toml(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]  # TOML has no null: that is a mistake, too
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_in_toml(key)} = {_in_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_in_toml, value)) + "]"
    return str(value)


def as_toml(tree: dict[str, Any]) -> bytes:
    """A document as TOML: a table for each key that holds one, everything below it in one line each."""
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    lines = [f"{_in_toml(key)} = {_in_toml(value)}" for key, value in plain.items()]
    for key, table in tree.items():
        if isinstance(table, dict):
            lines += [f"[{_in_toml(key)}]", *(f"{_in_toml(name)} = {_in_toml(value)}" for name, value in table.items())]
    return "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


@st.composite
def files(
    draw: st.DrawFn, valid: Any, written: Callable[[Any], bytes], places: Sequence[tuple[Any, ...]] = ()
) -> bytes:
    """A file made of a changed document, see :func:`changed`, with damaged bytes in one of four."""
    content = written(draw(changed(valid, places)))
    return draw(damaged(content)) if draw(st.integers(0, 3)) == 0 else content
