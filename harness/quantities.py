"""Times and sizes as people write and read them."""

from __future__ import annotations

import math
import re

from harness.errors import HarnessError

SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}

_QUANTITY = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([a-zA-Z]*)\s*")


def seconds_of(text: str, option: str) -> float:
    """``90``, ``15m``, ``2h`` or ``1.5h`` in seconds.

    Raises:
        HarnessError: It is no time, or none above 0.
    """
    found = _QUANTITY.fullmatch(text)
    unit = found[2].lower() if found else "?"
    if found is None or unit not in SECONDS or not 0 < float(found[1]) < math.inf:
        raise HarnessError(f"{option} {text}: expected a time above 0, such as 90 (seconds), 15m or 2h.")
    return float(found[1]) * SECONDS[unit]


def size_of(text: str, option: str) -> int:
    """``800MB`` or ``4GB`` in bytes.

    Raises:
        HarnessError: It is no size, has no unit, or is 0.
    """
    found = _QUANTITY.fullmatch(text)
    unit = found[2].lower() if found else "?"
    if found is None or unit not in BYTES or not 0 < float(found[1]) < math.inf:
        raise HarnessError(f"{option} {text}: expected a size above 0 with its unit, such as 800MB or 4GB.")
    return int(float(found[1]) * BYTES[unit])


def spoken_time(seconds: float) -> str:
    """``8 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``: two units at most."""
    if not math.isfinite(seconds):
        return "?"
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count)
