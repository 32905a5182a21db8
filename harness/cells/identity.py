"""What differs between two cells, in words: why a result is not the one that was there before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNSAID = object()

CODE = {
    "hasher": "code of hasher {hasher}",
    "detector": "code of detector {detector}",
    "objective": "code of objective {objective}",
    "protocol": "code of noise protocol {protocol}",
    "image": "code of the image backbone",
    "text": "code of the text backbone",
}
"""Entry of an identity's ``sources`` to what it is the code of."""

OPAQUE = {
    "data": "the data (their fingerprint)",
    "split": "the split",
    "plan": "the noise plan (its fingerprint)",
    "codes": "the codes",
    "phases": "the training phases",
    "protocol_version": "the version of the noise protocol",
}
"""Entries whose values say nothing to people, or too much."""


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What two identities do not share.

    Args:
        before: Identity of a stored record.
        after: Identity of a cell as it would run now.

    Returns:
        One phrase for each difference, such as "code of hasher contrastive", "parameter hasher.beta (0.001 -> 0.01)",
        "noise (0.2 -> 0.4)"; empty for equal identities.
    """
    phrases: list[str] = []
    for key in _keys(before, after):
        old, new = before.get(key, UNSAID), after.get(key, UNSAID)
        if old == new:
            continue
        if key == "sources":
            phrases += [
                CODE.get(role, f"code of the {role}").format_map(_Names(after))
                for role in _changed(old, new)
                if after.get(role) == before.get(role)  # another component has other code: one phrase is enough
            ]
        elif key == "parameters":
            phrases += [f"parameter {name} ({_change(old, new, name)})" for name in _changed(old, new)]
        elif key == "versions":
            phrases += [f"version of the core's {name} ({_change(old, new, name)})" for name in _changed(old, new)]
        elif key == "backbones":
            phrases += [f"{modality} backbone: {_backbone(old, new, modality)}" for modality in _changed(old, new)]
        elif key in OPAQUE:
            phrases.append(OPAQUE[key])
        else:
            phrases.append(f"{key.replace('_', ' ')} ({_in_words(old)} -> {_in_words(new)})")
    return phrases


class _Names(dict[str, Any]):
    """Names of an identity's components; a role without one is named by itself."""

    def __missing__(self, key: str) -> str:
        return key


def _keys(before: Any, after: Any) -> list[str]:
    """Keys of both, in the order in which they were written."""
    return list(dict.fromkeys([*entries(before), *entries(after)]))


def entries(value: Any) -> Mapping[str, Any]:
    """A table of a record; empty where the record lacks it, or has something else there."""
    return value if isinstance(value, Mapping) else {}


def _changed(before: Any, after: Any) -> list[str]:
    old, new = entries(before), entries(after)
    return [key for key in _keys(old, new) if old.get(key, UNSAID) != new.get(key, UNSAID)]


def _change(before: Any, after: Any, name: str) -> str:
    return f"{_in_words(entries(before).get(name, UNSAID))} -> {_in_words(entries(after).get(name, UNSAID))}"


def _backbone(before: Any, after: Any, modality: str) -> str:
    """Which part of a backbone changed: its name, its weights, its parameters."""
    old, new = entries(entries(before).get(modality)), entries(entries(after).get(modality))
    parts = []
    for key in _changed(old, new):
        if key == "parameters":
            own, others = old.get(key), new.get(key)
            parts += [f"{name} ({_change(own, others, name)})" for name in _changed(own, others)]
        else:
            parts.append(f"{key} ({_change(old, new, key)})")
    return ", ".join(parts)


def _in_words(value: Any) -> str:
    return "none" if value is None or value is UNSAID else f"{value:g}" if isinstance(value, float) else str(value)
