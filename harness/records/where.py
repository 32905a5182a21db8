"""Conditions on records as users write them: ``dataset=ucm and noise=0.4 and not (bits in (16, 32))``.

A condition is translated to SQL over the index, with names that are checked and values that are bound, so that nothing
a user writes reaches SQLite as SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError, unknown_name
from harness.records.index_tables import quoted
from harness.text import shortened

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'[^']*'|"[^"]*")
    | (?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,)
    | (?P<word>[^\s<>=!(),'"]+)
    )""",
    re.VERBOSE,
)
_COMPARISONS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_NOTHING = ("none", "null")

DEEPEST = 20
"""How deep brackets and "not" may be nested; SQLite's parser has a limit above this one."""

EXAMPLE = 'for example --where "dataset=ucm and noise>=0.2 and i2t/map<0.5"'


@dataclass(frozen=True)
class _Token:
    text: str
    is_quoted: bool = False

    def says(self, *words: str) -> bool:
        return not self.is_quoted and self.text.lower() in words


def condition(text: str, columns: Mapping[str, type]) -> tuple[str, list[Any]]:
    """Translate a condition.

    The grammar: comparisons ``NAME = VALUE`` (also ``!= < <= > >=``), ``NAME like 'chnr%'``, ``NAME in (A, B)``,
    ``NAME is none``, joined by ``and``, ``or``, ``not`` and brackets. Values need quotes where they hold spaces,
    brackets, commas or signs of comparison. ``NAME = none`` is true where nothing is known, and ``NAME != VALUE`` as
    well.

    Args:
        text: The condition.
        columns: Names and what they hold: str, int, float or bool.

    Returns:
        SQL with question marks, and their values.

    Raises:
        HarnessError: It cannot be read, or names a column that there is not.
    """
    return _Parser(text, columns).parsed()


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, type]) -> None:
        self._text, self._columns = text, columns
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0
        self._values: list[Any] = []

    def parsed(self) -> tuple[str, list[Any]]:
        sql = self._either()
        if self._next < len(self._tokens):
            raise self._error(f"{self._tokens[self._next].text!r} was not expected")
        return sql, self._values

    def _error(self, what: str) -> HarnessError:
        return HarnessError(f"--where {shortened(self._text)!r}: {what}; {EXAMPLE}.")

    def _take(self, what: str) -> _Token:
        if self._next == len(self._tokens):
            raise self._error(f"it ends where {what} is expected")
        self._next += 1
        return self._tokens[self._next - 1]

    def _took(self, *words: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next].says(*words):
            self._next += 1
            return True
        return False

    def _either(self) -> str:
        parts = [self._both()]
        while self._took("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def _both(self) -> str:
        parts = [self._one()]
        while self._took("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _one(self) -> str:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"brackets and 'not' stand more than {DEEPEST} deep")
        try:
            if self._took("not"):
                # Comparisons with what is not known are neither true nor false in SQL, and stay so when negated.
                return f"(NOT coalesce({self._one()}, 0))"
            if self._took("("):
                inner = self._either()
                if not self._took(")"):
                    raise self._error("a bracket is not closed")
                return f"({inner})"
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> str:
        name = self._take("a column").text
        if name not in self._columns:
            raise unknown_name("column in --where", name, self._columns, "`harness results list --columns` lists all.")
        kind, column = self._columns[name], quoted(name)
        negated = self._took("not")
        if self._took("in"):
            return f"({column} {'NOT ' if negated else ''}IN ({', '.join(self._list(name, kind))}))"
        if self._took("like"):
            self._values.append(self._take("a pattern").text)
            return f"({column} {'NOT ' if negated else ''}LIKE ?)"
        if negated:
            raise self._error(f"'not' after {name!r} goes with 'in' or 'like'")
        if self._took("is"):
            sign = "<>" if self._took("not") else "="
        else:
            word = self._take("a comparison")
            if word.is_quoted or word.text not in _COMPARISONS:
                raise self._error(f"{word.text!r} stands where a comparison (= != < <= > >= in like is) is expected")
            sign = _COMPARISONS[word.text]
        value = self._take("a value")
        if value.says(*_NOTHING):
            if sign not in ("=", "<>"):
                raise self._error(f"{name!r} can be = or != {value.text}, nothing else")
            return f"({column} IS {'NOT ' if sign == '<>' else ''}NULL)"
        self._values.append(self._value(value, name, kind))
        return f"({column} {'IS NOT' if sign == '<>' else sign} ?)"

    def _list(self, name: str, kind: type) -> list[str]:
        if not self._took("("):
            raise self._error("'in' wants a list in brackets, such as in (16, 32)")
        marks = []
        while True:
            self._values.append(self._value(self._take("a value"), name, kind))
            marks.append("?")
            if self._took(")"):
                return marks
            if not self._took(","):
                raise self._error("values of a list are separated by commas, and the bracket is closed")

    def _value(self, token: _Token, name: str, kind: type) -> Any:
        if not token.is_quoted and token.text in ("(", ")", ",", *_COMPARISONS):
            raise self._error(f"{token.text!r} stands where a value is expected")
        if kind is str:
            return token.text
        if kind is bool and token.text.lower() in ("true", "false", "yes", "no"):
            return int(token.text.lower() in ("true", "yes"))
        try:
            return float(token.text)
        except ValueError:
            raise self._error(f"{name!r} holds numbers, and {token.text!r} is none") from None


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise HarnessError(
                f"--where {shortened(text)!r}: cannot be read from {text[position:].strip()[:20]!r} on; {EXAMPLE}."
            )
        said = match["text"]
        tokens.append(_Token(said[1:-1], True) if said else _Token(match["sign"] or match["word"]))
        position = match.end()
    if not tokens:
        raise HarnessError(f"--where is empty; {EXAMPLE}.")
    return tokens
