"""Conditions as users write them."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.records.where import condition

COLUMNS = {"method": str, "row": str, "noise": float, "bits": int, "ok": bool, "limit": int, "i2t/map@20": float}
ROWS = [
    ("chnr", "chnr [a=1, b]", 0.4, 64, 1, None, 0.9),
    ("cca-itq", "cca-itq", 0.0, 16, 0, 30, 0.5),
    ("external:x", "x", None, 16, 1, None, None),
]


def matching(text: str) -> list[str]:
    sql, values = condition(text, COLUMNS)
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE runs ({', '.join(map(chr(34).join, [['', name, ''] for name in COLUMNS]))})")
    connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", ROWS)
    found = [row[0] for row in connection.execute(f"SELECT method FROM runs WHERE {sql}", values)]
    connection.close()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("method=chnr", ["chnr"]),
        ("method = 'chnr'", ["chnr"]),
        ('row="chnr [a=1, b]"', ["chnr"]),
        ("noise=0.4", ["chnr"]),
        ("noise>=0", ["chnr", "cca-itq"]),
        ("noise!=0.4", ["cca-itq", "external:x"]),
        ("not noise=0.4", ["cca-itq", "external:x"]),
        ("noise=none", ["external:x"]),
        ("noise is not null", ["chnr", "cca-itq"]),
        ("limit!=none", ["cca-itq"]),
        ("bits in (16, 32)", ["cca-itq", "external:x"]),
        ("method not in (chnr,cca-itq)", ["external:x"]),
        ("method like 'c%'", ["chnr", "cca-itq"]),
        ("ok=true and bits=16", ["external:x"]),
        ("i2t/map@20>0.6", ["chnr"]),
        ("method=chnr or bits=16 and ok=false", ["chnr", "cca-itq"]),
        ("(method=chnr or bits=16) AND ok=no", ["cca-itq"]),
        ("not (method=chnr or bits=16)", []),
        ("method=external:x", ["external:x"]),
        ("method='x'' OR 1=1 --'", None),
        ('method="a\' OR 1=1"', []),
    ],
)
def test_conditions(text, expected):
    if expected is None:
        with pytest.raises(HarnessError):
            matching(text)
    else:
        assert matching(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("metod=chnr", r"unknown column in --where 'metod': did you mean 'method'"),
        ("noise=much", "'noise' holds numbers, and 'much' is none"),
        ("noise", "it ends where a comparison is expected"),
        ("noise=", "it ends where a value is expected"),
        ("noise 0.4", "'0.4' stands where a comparison"),
        ("(noise=0.4", "a bracket is not closed"),
        ("noise=0.4)", "was not expected"),
        ("noise=0.4 bits=16", "'bits' was not expected"),
        ("noise in 0.4", "'in' wants a list in brackets"),
        ("noise in (0.4", "the bracket is closed"),
        ("noise in (0.4,", "it ends where a value"),
        ("noise in (0.4 0.6)", "separated by commas"),
        ("noise < none", "can be = or != none"),
        ("noise not 0.4", "goes with 'in' or 'like'"),
        ("method='chnr", "cannot be read from"),
        ("noise = = 0.4", "stands where a value"),
    ],
)
def test_mistakes_are_one_sentence(text, message):
    with pytest.raises(HarnessError, match=message) as raised:
        condition(text, COLUMNS)
    assert "\n" not in str(raised.value)


@given(st.text(alphabet="metodnis =<>!()',\"0.4-;*%andorlik", max_size=40))
def test_whatever_is_written_is_sql_or_a_sentence(text):
    with contextlib.suppress(HarnessError):
        matching(text)


@pytest.mark.parametrize("begin", ["(", "not ", "(not "])
@pytest.mark.parametrize("times", [21, 100_000])
def test_brackets_too_deep_are_refused_in_a_short_sentence(begin, times):
    with pytest.raises(HarnessError, match="more than 20 deep") as raised:
        condition(begin * times + "bits=1" + ")" * times * begin.count("("), COLUMNS)
    assert len(str(raised.value)) < 400
    assert matching("not (" * 8 + "bits=64" + ")" * 8) == ["chnr"]
