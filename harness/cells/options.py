"""What an option of ``harness run`` is: all that help, Python, plans, grids, commands and tables must know of it."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from harness.quantities import comma_escaped, comma_single

TYPES: dict[str, type[Any]] = {
    "str": str, "int": int, "float": float, "bool": bool, "Path": Path, "tuple[str, ...]": str,
}  # fmt: skip
"""Annotation of an option's field, but for "or None", to what reads its values from text."""


class Stage(IntEnum):
    """Where in the making of a cell an axis counts first; a grid varies the last stage fastest, so that what comes
    before is prepared once.
    """

    READING = 1
    ENCODING = 2
    SPLITTING = 3
    STANDARDISING = 4
    TRUSTING = 5
    CORRUPTING = 6
    CODING = 7
    CHOOSING_A_METHOD = 8
    SEEDING = 9


@dataclass(frozen=True)
class Fact:
    """How tables treat the value of an option, which the record of a cell holds in its field of that name.

    Attributes:
        usual: Values that titles leave out.
        title: How the title of a table says another one, as a format of it; "" for the option's name and the value.
        short: The same in the title of a cell.
        empty: What a table writes for a usual value where the column is empty for it; "" if the column holds it.
        apart: Numbers stand in one table only where it is equal.
        hashed: Part of a cell's identity; False where only what follows from it is, such as the split.
        published: What published numbers are taken to go by, "" where they say it: what it is, the usual, and another
            value as a format.
    """

    usual: tuple[Any, ...] = ()
    title: str = ""
    short: str = ""
    empty: str = ""
    apart: bool = True
    hashed: bool = True
    published: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Option:
    """An option of ``harness run``, and an argument of :func:`harness.run`.

    Attributes:
        group: Section of the help.
        meaning: What the help says, without what it says of axes.
        metavar: What the help calls the value.
        varies: Where a grid varies it; None for an option of one value.
        usual: What the help says after "default", where that is not the field's default.
        names: Kind of the registered things that its values name, or "".
        always_said: Commands write its default, too.
        repeats: It may be given several times; each one adds a value to the field.
        or_number: In Python a number stands for its text.
        shows_default: The help says the default.
        may_be_path: Its value is a file, a folder, or a name.
        fact: How tables treat it; None if a record holds no such field.
        modality: It has a meaning only where features of the modality are computed: "image", "text", "both", or "".
        name: The option without dashes, with underscores: "data_seed".
        field: The field of the request, which has another name for the method alone.
        read: From text to the value; raises ValueError: str, int, float, bool or Path.
        default: The value where it is not given.
        of_method: The field is one of the request's method.
    """

    group: str
    meaning: str
    metavar: str | None = None
    varies: Stage | None = None
    usual: str | None = None
    names: str = ""
    always_said: bool = False
    repeats: bool = False
    or_number: bool = False
    shows_default: bool = False
    may_be_path: bool = False
    fact: Fact | None = None
    modality: str = ""
    name: str = ""
    field: str = ""
    read: type[Any] = str
    default: Any = None
    of_method: bool = False

    @property
    def flag(self) -> str:
        """As it is written: ``--data-seed``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def argument(self) -> str:
        """What it is called in Python and by click: those that repeat go by their field, in the plural."""
        return self.field if self.repeats else self.name

    @property
    def help(self) -> str:
        """What the help says."""
        usual = self.usual if self.usual is not None else "" if self.default is None else f" {self.default}"
        return f"{self.meaning}  [axis{f'; default{usual}' if usual else ''}]" if self.axis else self.meaning

    @property
    def axis(self) -> bool:
        """Whether a comma list is a list of values; names of files may hold a comma."""
        return self.varies is not None and self.read is not Path

    @property
    def is_switch(self) -> bool:
        """Written without a value: ``--drop-duplicates``."""
        return self.read is bool

    def held(self, request: Any) -> Any:
        """The value in a :class:`~harness.cells.request.CellRequest`."""
        return getattr(request.method if self.of_method else request, self.field)

    def value(self, request: Any) -> Any:
        """The value in a request; None if the command leaves it out."""
        if self.name == "dataset" and request.features is not None:
            return None
        value = self.held(request)
        return None if value == self.default and not self.always_said else value

    def title(self, value: Any, short: bool = False) -> str:
        """What titles say of a value: "relevance instance"; "" where it is usual."""
        if self.fact is None or value in self.fact.usual:
            return ""
        said = self.fact.short if short else self.fact.title
        return (said or f"{self.name.replace('_', ' ')} {{}}").format(value)

    def column(self, value: Any) -> Any:
        """A value of a record as it stands in the column of tables, indexes and exports."""
        if self.fact is None or not self.fact.empty:
            return value
        return "" if value in self.fact.usual else "yes" if value is True else value

    def text(self, value: Any) -> str:
        """A value as it is written in a command that means the same from any folder."""
        if isinstance(value, Path):
            # Not resolved: the name of ready features is the name of the file, and a link has one of its own.
            return str(value.absolute())
        if self.may_be_path and Path(value).exists():
            return str(Path(value).absolute())
        if self.is_card(value):
            return comma_escaped(str(Path(value).absolute()))
        return comma_escaped(str(value)) if self.axis else str(value)

    def parse(self, text: str) -> Any:
        """The inverse of :meth:`text`.

        Raises:
            ValueError: The text is no such value.
        """
        return self.read(comma_single(text) if self.axis else text)

    def is_card(self, value: Any) -> bool:
        """Whether a data set is named by the file of its card."""
        return self.name == "dataset" and value.endswith(".toml")


def option(
    default: Any, group: str, meaning: str, metavar: str | None = None, varies: Stage | None = None, **more: Any
) -> Any:
    """A field of a request that is an option; ``default`` is the field's, the others are :class:`Option`'s."""
    declared = Option(group, meaning, metavar, varies, default=None if default is MISSING else default, **more)
    return field(default=default, metadata={"option": declared})


def options_in(request: type, of_method: bool = False) -> list[Option]:
    """The options that a dataclass of requests declares, in the order of its fields."""
    return [
        replace(
            one.metadata["option"],
            name=one.metadata["option"].name or one.name,
            field=one.name,
            read=TYPES[str(one.type).removesuffix(" | None")],
            of_method=of_method,
        )
        for one in fields(request)
        if "option" in one.metadata
    ]
