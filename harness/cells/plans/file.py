"""Sweep plans: TOML files that span a grid with overrides and exclusions; docs/sweeps.md describes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.cells.command import command_of
from harness.cells.options import Option
from harness.cells.plans.schema import Block, PlanContent, read_content
from harness.cells.request import BY_NAME, CellRequest, MethodRequest, span
from harness.errors import HarnessError, unknown_name
from harness.files.toml import Key, line_of, read_toml
from harness.plugin.loading import Registry
from harness.plugin.metric_ids import declared_metric

SHIPPED = Path(__file__).parent
"""Folder of the plans that come with the harness."""

CARD = "A data set needs a card: a file datasets/NAME.toml, or a plugin's (docs/add-a-dataset.md)."


@dataclass(frozen=True)
class Plan:
    """A sweep plan.

    Attributes:
        name: Name of the file without its ending.
        source: As messages name it.
        text: The file's text, for the lines of errors.
        content: What is in it, checked.
    """

    name: str
    source: str
    text: str
    content: PlanContent

    @property
    def title(self) -> str:
        """The title, or the name."""
        return self.content.title or self.name

    @property
    def metrics(self) -> list[str]:
        """Metrics of the final tables; empty where the plan names none."""
        return list(self.content.metrics)

    @property
    def plugins(self) -> tuple[Path, ...]:
        """Plugin files that the plan needs."""
        return self.content.fixed.plugins

    def error(self, message: str, *keys: Key) -> HarnessError:
        """An error with the line of a key."""
        return _error(self.source, self.text, message, keys)

    def check_plugins(self) -> None:
        """The plugin files are there.

        Raises:
            HarnessError: One is not; the message says on which line it is named.
        """
        for file in self.plugins:
            if not file.exists():
                raise self.error(f"plugin {file}: there is no such file", "fixed", "plugin")

    def check_names(self, registry: Registry) -> None:
        """Everything that the plan names is registered.

        Args:
            registry: What is registered.

        Raises:
            HarnessError: A name is unknown; the message says on which line.
        """
        for place, block in self.blocks():
            for name, values in block.values.items():
                kind = BY_NAME[name].names
                for value in values if kind else ():
                    self._check_name(registry, kind, value, (*place, name))
        for metric_id in self.metrics:
            try:
                declared_metric(registry, metric_id)
            except HarnessError as error:
                raise self.error(str(error), "metrics") from error

    def blocks(self) -> list[tuple[tuple[Key, ...], Block]]:
        """The tables that give values to options, with their places; a later one has the last word."""
        blocks: list[tuple[tuple[Key, ...], Block]] = [(("axes",), self.content.axes), (("fixed",), self.content.fixed)]
        for section in ("datasets", "methods"):
            blocks += [((section, name), block) for name, block in getattr(self.content, section).items()]
        return blocks

    def _check_name(self, registry: Registry, kind: str, name: str, place: Sequence[Key]) -> None:
        try:
            if kind == "dataset":
                if name.endswith(".toml"):
                    return  # a card of the user's, which is read when its cells are prepared
                name = name.partition(":")[0]
            registry.get(kind, name)
        except HarnessError as error:
            remark = f" {CARD}" if kind == "dataset" else ""
            raise self.error(f"{error}{remark}", *place) from error

    def requests(
        self,
        base: CellRequest | None = None,
        given: Mapping[str, Sequence[Any]] | None = None,
        settings: Mapping[str, Sequence[str]] | None = None,
    ) -> list[CellRequest]:
        """The points of the grid.

        Args:
            base: Whose values stand where the plan says nothing; None for the defaults.
            given: Values that stand whatever the plan says, by option (``{"data_root": [Path("data")]}``).
            settings: As ``given``, for ``--set``.

        Returns:
            The requests, each once; data change slowest, so that they are prepared once. Within the same data, the
            order is that of the plan's methods.

        Raises:
            HarnessError: An exclusion that matches nothing, or exclusions that leave nothing.
        """
        base = base or CellRequest(MethodRequest(""))
        base = replace(base, plugins=tuple(dict.fromkeys([*base.plugins, *self.plugins])))
        given = {name: values for name, values in (given or {}).items() if values}
        points: dict[str, CellRequest] = {}
        for method in given.get("method") or self.content.axes.values["method"]:
            for request in self._of_method(method, base, given, settings or {}):
                points.setdefault(command_of(request), request)
        elsewhere = bool(settings) or any(BY_NAME[name].varies is not None for name in given)
        kept = self._without_excluded(list(points.values()), elsewhere)
        order: dict[str, int] = {}
        places = [order.setdefault(command_of(request.data_key), len(order)) for request in kept]
        return [request for _, request in sorted(zip(places, kept, strict=True), key=lambda pair: pair[0])]

    def _of_method(
        self,
        method: str,
        base: CellRequest,
        given: Mapping[str, Sequence[Any]],
        settings: Mapping[str, Sequence[str]],
    ) -> list[CellRequest]:
        """The points of one method."""
        content = self.content
        own = content.methods.get(method)
        common = {**content.axes.values, **content.fixed.values}
        if content.repeats is not None:
            common["seed"] = list(range(content.repeats))
        of_method = {} if own is None else dict(own.values)
        if own is not None and own.repeats is not None:
            of_method["seed"] = list(range(own.repeats))
        replaced = {**of_method, **given}
        datasets: Sequence[str | None] = {**common, **replaced}.get("dataset") or [None]
        if given.get("features"):
            datasets = [None]
        points: list[CellRequest] = []
        for dataset in datasets:
            block = content.datasets.get(dataset) if dataset is not None else None
            values = {**common, **({} if block is None else block.values), **replaced, "method": [method]}
            if dataset is None:
                values.pop("dataset", None)
            else:
                values["dataset"] = [dataset]
            if "dataset" in given:
                values.pop("features", None)
            chosen = {
                **content.axes.settings,
                **content.fixed.settings,
                **({} if block is None else block.settings),
                **({} if own is None else own.settings),
                **settings,
            }
            points += span(base, values, {key: texts for key, texts in chosen.items() if texts})
        return points

    def _without_excluded(self, requests: list[CellRequest], elsewhere: bool) -> list[CellRequest]:
        """What the exclusions leave.

        Axes given on the command line (``elsewhere``) may leave an exclusion without a point; that is no mistake in
        the plan.
        """
        kept = requests
        for at, exclusion in enumerate(self.content.exclude):
            values = [(BY_NAME[name], wanted) for name, wanted in exclusion.values.items()]
            if not any(_matches(request, values, exclusion.settings) for request in requests) and not elsewhere:
                raise self.error(
                    f"[[exclude]] {at + 1} matches no point of the grid: correct it, or take it out", "exclude", at
                )
            kept = [request for request in kept if not _matches(request, values, exclusion.settings)]
        if not kept:
            raise HarnessError(f"{self.source}: the exclusions leave no point of the grid.")
        return kept


def _matches(
    request: CellRequest, values: Sequence[tuple[Option, list[Any]]], settings: Mapping[str, list[str]]
) -> bool:
    """Whether the values and settings of an exclusion are those of the request."""
    if not all(option.held(request) in wanted for option, wanted in values):
        return False
    chosen = {**request.method.settings, **request.backbone_settings}
    return all(chosen.get(key) in texts for key, texts in settings.items())


def shipped_plans() -> dict[str, Path]:
    """Name to file of the plans that come with the harness."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def read_plan(plan: str | Path) -> Plan:
    """Read and check a plan.

    Args:
        plan: A TOML file, or the name of a shipped plan.

    Returns:
        The plan.

    Raises:
        HarnessError: There is none, it is no TOML, or something in it cannot be; the message names the line.
    """
    path, source = _file_of(str(plan))
    text, content = read_toml(path, "plan")
    return _checked(path.stem, source, text, content, path.absolute().parent)


def plan_of_content(content: Mapping[str, Any]) -> Plan:
    """Check a plan that is given as what its file would hold; its paths begin in the current folder.

    Raises:
        HarnessError: Something in it cannot be; the message names the key.
    """
    return _checked("plan", "plan", "", _as_in_a_file(content), Path.cwd())


def _as_in_a_file(value: Any) -> Any:
    """Tables, lists and plain values, as a TOML file holds them, of what Python has in their places."""
    if isinstance(value, Mapping):
        return {str(key): _as_in_a_file(each) for key, each in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "shape", None) != ():
        return [_as_in_a_file(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def _checked(name: str, source: str, text: str, content: Mapping[str, Any], folder: Path) -> Plan:
    checked, mistakes = read_content(content, folder)
    if mistakes:
        keys, message = min(mistakes, key=lambda mistake: _line(text, mistake[0]) or 0)
        raise _error(source, text, message, keys)
    plan = Plan(name, source, text, checked)
    _check(plan)
    return plan


def _file_of(plan: str) -> tuple[Path, str]:
    """The file of a plan, and how messages name it."""
    shipped = shipped_plans()
    if plan in shipped:
        return shipped[plan], f"plan {plan}"
    path = Path(plan)
    if os.path.lexists(plan):
        return path, plan
    if path.suffix == ".toml" or "/" in plan:
        raise HarnessError(f"there is no plan file {plan}; plans that come with the harness: {', '.join(shipped)}.")
    raise unknown_name("plan", plan, shipped, "A plan of your own is named by its file.")


def _error(source: str, text: str, message: str, keys: Sequence[Key]) -> HarnessError:
    line = _line(text, keys)
    ending = "" if message.endswith((".", "?", ".)")) else "."
    return HarnessError(f"{source}{'' if line is None else f', line {line}'}: {message}{ending}")


def _line(text: str, keys: Sequence[Key]) -> int | None:
    """The line of a key, or of the innermost table around it that stands in the file."""
    return next((line for end in range(len(keys), 0, -1) if (line := line_of(text, keys[:end]))), None)


def _check(plan: Plan) -> None:
    """What a schema cannot say: parts of a plan that contradict each other."""
    content = plan.content
    axes, fixed = content.axes.values, content.fixed.values
    if "method" not in axes:
        raise plan.error("[axes] names no method", "axes")
    if content.repeats is not None and ("seed" in axes or "seed" in fixed):
        table = "axes" if "seed" in axes else "fixed"
        raise plan.error(f"repeats and {table}.seed exclude each other: both name training seeds", "repeats")
    for name in fixed:
        if name in axes:
            raise plan.error(f"{name!r} is both in [axes] and in [fixed]", "fixed", name)
    sets: list[tuple[tuple[Key, ...], Block]] = [(("axes",), content.axes), (("fixed",), content.fixed)]
    for place, block in [*sets, *((("exclude", at), block) for at, block in enumerate(content.exclude))]:
        for key, texts in block.settings.items():
            if not texts:
                message = f"set: the list of {key} is empty: give a value, or leave the key out"
                raise plan.error(message, *place, "set", key)
    for key in content.fixed.settings:
        if key in content.axes.settings:
            raise plan.error(f"{key!r} is both in [axes.set] and in [fixed.set]", "fixed", "set")
        if len(content.fixed.settings[key]) > 1:
            raise plan.error(f"fixed.set: {key!r} has several values: write it in [axes.set]", "fixed", "set")
    everywhere = {**axes, **fixed}
    if "dataset" in everywhere and "features" in everywhere:
        raise plan.error("dataset and features exclude each other: features bring their own data", "axes", "features")
    datasets = [*everywhere.get("dataset", [])]
    for name, block in content.methods.items():
        values = block.values
        if name not in axes["method"]:
            hint = unknown_name("method", name, axes["method"])
            raise plan.error(f"[methods.{name}] is not among the methods of [axes]: {hint}", "methods", name)
        if block.repeats is not None and "seed" in values:
            raise plan.error(
                f"repeats and seed of [methods.{name}] exclude each other: both name training seeds",
                "methods", name, "repeats",
            )  # fmt: skip
        if "dataset" in values and "features" in {**everywhere, **values}:
            raise plan.error(
                f"[methods.{name}] names a dataset beside features, which bring their own data",
                "methods", name, "dataset",
            )  # fmt: skip
        if "features" in values and datasets:
            raise plan.error(
                f"[methods.{name}] names features beside a dataset: features bring their own data",
                "methods", name, "features",
            )  # fmt: skip
        datasets += [dataset for dataset in values.get("dataset", ()) if dataset not in datasets]
    for name in content.datasets:
        if name not in datasets:
            hint = unknown_name("dataset", name, datasets)
            raise plan.error(f"[datasets.{name}] is not among the datasets of [axes]: {hint}", "datasets", name)
    for at, exclusion in enumerate(content.exclude):
        if not exclusion.values and not exclusion.settings:
            raise plan.error(f"[[exclude]] {at + 1} is empty, which would leave out everything", "exclude", at)
