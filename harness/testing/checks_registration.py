"""Checks of plugins and of what they declare: loading, lightness, completeness, the methods of their contracts."""

from __future__ import annotations

import inspect
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from harness.cells.methods import resolve_method
from harness.cells.request import MethodRequest
from harness.errors import HarnessError
from harness.plugin.declarations import Component, HasherDeclaration, MetricDeclaration
from harness.plugin.interfaces import Need
from harness.plugin.loading import KINDS, import_file
from harness.plugin.source_hash import LOOSE_PREFIX
from harness.runtime.seeding import global_randomness
from harness.testing.outcomes import CheckFailed, CheckSkipped, CheckWarning, check
from harness.testing.subject import KIND_OF_PLUGIN, Subject
from harness.version import HARNESS_API

HEAVY = ("torch", "numpy", "numba", "pandas", "scipy", "sklearn", "skimage", "transformers", "torchvision", "PIL")
"""Libraries whose import everybody would feel in `harness --help` and `harness list`."""

SLOW_SECONDS = 1.0
"""Seconds that a registering module may take by itself, heavy libraries not counted."""

COMPONENTS = ("hasher", "detector", "objective", "backbone", "reader", "metric", "protocol", "executor", "tracker")

CONTRACTS: dict[str, dict[str, str]] = {
    "hasher": {"fit": "pairs, trust, run", "encode_image": "image", "encode_text": "text"},
    "learner": {
        "begin": "pairs, phases, run", "step": "batch, trust", "encode_image": "image", "encode_text": "text",
    },
    "detector": {"fit": "pairs, run"},
    "objective": {"__call__": "z_image, z_text, trust"},
    "backbone": {"encode": "raw, run"},
    "executor": {"run": "tasks, session"},
    "tracker": {"run_started": "cell", "epoch_reported": "progress", "run_finished": "record, folder"},
}  # fmt: skip
"""Methods that a contract asks for, and what they are called with."""

OPTIONAL: dict[str, dict[str, str]] = {
    "hasher": {"state": "", "restore": "state, run"},
    "learner": {
        "state": "", "restore": "state, run", "begin_phase": "phase, pairs, rows", "pair_losses": "batch",
        "end_epoch": "epoch",
    },
    "detector": {"observe": "evidence, run", "weigh_batch": "batch, learner"},
    "backbone": {"fit": "training, run"},
    "executor": {"slots": "session"},
    "tracker": {"close": ""},
}  # fmt: skip
"""Methods that may be left out."""

IMPORT_PROGRAM = """
import json, sys, time
heavy = json.loads(sys.argv[1])
from harness.plugin.loading import load_registry
before = set(sys.modules)
start = time.perf_counter()
{load}
seconds = time.perf_counter() - start
new = set(sys.modules) - before
print(json.dumps({{"seconds": seconds, "heavy": sorted(set(heavy) & new)}}))
"""


@check(KIND_OF_PLUGIN, foundation=True)
def check_loads(subject: Subject) -> str | None:
    """It is imported, its hooks exist and are spelt right, and what it registers is accepted."""
    state = subject.state
    assert state is not None
    if state.left_out:
        raise CheckSkipped("HARNESS_PLUGINS leaves it out")
    if state.error:
        raise CheckFailed(state.error, _hint_of(state.error))
    said = f"written for plugin API {state.api}" if state.api else f"it says no harness_api; this is {HARNESS_API}"
    return said


def _hint_of(error: str) -> str:
    """What to do about a plugin that is not loaded."""
    kind, while_loading, _ = error.partition(" while loading: ")
    if not while_loading:
        return "docs/plugin-hooks.md lists all hooks, their arguments and the version of the plugin API."
    if kind in ("SyntaxError", "IndentationError", "TabError"):
        return "Python cannot read the file: mend the line named here or the one before it."
    if kind in ("ImportError", "ModuleNotFoundError"):
        return "install the package that is missing into this environment, or correct the name."
    return "the file fails before any hook is called: what is computed belongs into the class, for when it is needed."


@check(KIND_OF_PLUGIN, hint="import it within the class, or register the target as text: 'package.module:Class'.")
def check_quick_to_load(subject: Subject) -> str | None:
    """Its registering module takes no time: it is imported by every command, also by those that have no use for it."""
    module_name, file = _module_of(subject)
    loose = module_name.startswith(LOOSE_PREFIX)
    load = "from pathlib import Path; from harness.plugin.loading import import_file; import_file(Path(sys.argv[2]))"
    if not loose:
        load = "import importlib; importlib.import_module(sys.argv[2])"
    program = IMPORT_PROGRAM.format(load=load)
    told = _told(program, str(file) if loose else module_name)
    if told["seconds"] > SLOW_SECONDS and not loose:
        told = min(told, _told(program, module_name), key=lambda one: one["seconds"])  # the machine may be busy
    seconds, heavy = told["seconds"], told["heavy"]
    if loose:
        own = min(_seconds_again(subject) for _ in range(3))
        if own > SLOW_SECONDS:
            raise CheckFailed(
                f"importing it takes {own:.1f} s, its libraries loaded already: every command would wait.",
                "do the work in the class, when it is needed; a module should only define things.",
            )
        if heavy:
            return (
                f"{seconds:.1f} s; it imports {', '.join(heavy)}, which a loose file may do; in an installed package "
                "every `harness list` would wait for it"
            )
        return f"{seconds:.2f} s"
    if heavy:
        raise CheckFailed(f"registering imports {', '.join(heavy)} ({seconds:.1f} s), and every `harness list` waits.")
    if seconds > SLOW_SECONDS:
        raise CheckFailed(f"importing {module_name} takes {seconds:.1f} s, and every `harness list` waits.")
    return f"{seconds:.2f} s"


def _told(program: str, argument: str) -> dict[str, Any]:
    """What a new process says of importing a plugin.

    Raises:
        CheckFailed: It cannot import it.
    """
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(HEAVY), argument],
        capture_output=True, text=True, timeout=120, check=False, env=_environment(),
    )  # fmt: skip
    if done.returncode:
        raise CheckFailed(f"a new process cannot import it: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def _environment() -> dict[str, str]:
    """The environment of a new process that finds the modules which this one finds."""
    places = [place for place in sys.path if place and not place.endswith(".zip")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


def _seconds_again(subject: Subject) -> float:
    """Processor and waiting time of one more import of a loose file, its libraries loaded."""
    import time

    assert subject.file is not None
    start = time.perf_counter()
    _import_again(subject)
    return time.perf_counter() - start


def _import_again(subject: Subject) -> None:
    """Import a loose file once more and leave the registered module where it was."""
    module_name, file = _module_of(subject)
    kept = sys.modules.get(module_name)
    try:
        import_file(file)
    finally:
        if kept is not None:
            sys.modules[module_name] = kept


def _module_of(subject: Subject) -> tuple[str, Any]:
    """Name and file of the registering module.

    Raises:
        CheckSkipped: It could not be loaded.
    """
    state = subject.state
    assert state is not None
    if state.error or state.left_out or state.file is None:
        raise CheckSkipped("it is not loaded")
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == str(state.file):
            return name, state.file
    raise CheckSkipped("its module is not known")


@check(KIND_OF_PLUGIN, hint="a plugin defines and registers; what changes the process belongs to whoever started it.")
def check_import_changes_nothing(subject: Subject) -> None:
    """Importing it sets no global seed, changes neither torch's defaults nor its threads, and prints nothing."""
    import contextlib
    import io

    import numpy as np
    import torch

    module_name, _ = _module_of(subject)
    if not module_name.startswith(LOOSE_PREFIX):
        raise CheckSkipped("an installed module is imported once only")

    def facts() -> dict[str, Any]:
        return {
            "the global seed of torch": torch.get_rng_state().numpy().tobytes(),
            "the global seed of numpy": repr(np.random.get_state()),  # noqa: NPY002 - the point is the global state
            "the global seed of random": random.getstate(),
            "torch's default dtype": torch.get_default_dtype(),
            "torch's number of threads": torch.get_num_threads(),
            "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
            "whether torch computes gradients": torch.is_grad_enabled(),
            "environment variables": dict(os.environ),
            "the working directory": os.getcwd(),  # noqa: PTH109 - compared, not used
        }

    printed = io.StringIO()
    # A seed that it set when it was first imported would be set again without a change: begin in another state.
    with global_randomness(int.from_bytes(os.urandom(4)), "before the import"), contextlib.redirect_stdout(printed):
        before = facts()
        _import_again(subject)
        changed = [name for name, value in facts().items() if value != before[name]]
    if changed:
        raise CheckFailed(f"importing it changes {', '.join(changed)}.")
    if printed.getvalue():
        raise CheckFailed(f"importing it prints {printed.getvalue().splitlines()[0]!r}: --json output would be spoilt.")


@check(
    *KINDS, hint="Parameter(name, default, meaning, choices, minimum=, maximum=, above=): the default must fit itself."
)
def check_registration_is_complete(subject: Subject) -> str | None:
    """A summary of one line; parameters with a type, a meaning and a default within their own limits."""
    declaration = subject.declaration
    if subject.kind != "dataset" and (not declaration.summary.strip() or "\n" in declaration.summary):
        raise CheckFailed("the summary is empty or has several lines.", "summary='what it does, in one line'.")
    if isinstance(declaration, MetricDeclaration) and not declaration.definition.strip():
        raise CheckFailed("the definition is empty.", "give the formula in words: it is stored with every value.")
    if not isinstance(declaration, Component):
        return None
    parameters = declaration.parameters
    names = [parameter.name for parameter in parameters]
    if len(set(names)) < len(names):
        raise CheckFailed(f"a parameter is declared twice: {', '.join(names)}.")
    for parameter in parameters:
        if not isinstance(parameter.default, bool | int | float | str):
            raise CheckFailed(f"parameter {parameter.name!r} has a default of type {type(parameter.default).__name__}.")
        try:
            parameter.read(parameter.default, parameter.name)
        except HarnessError as error:
            raise CheckFailed(f"the default of a parameter is not allowed by its own limits: {error}") from error
    silent = [parameter.name for parameter in parameters if not parameter.meaning]
    if silent:
        raise CheckWarning(f"no meaning is given for {', '.join(silent)}: declare Parameter(name, default, 'meaning')")
    return f"parameters: {', '.join(names)}" if names else None


@check("method", foundation=True)
def check_recipe(subject: Subject) -> str:
    """Its recipe names things that exist, with values that their parameters allow."""
    method = resolve_method(subject.registry, MethodRequest(subject.name, preset=subject.preset))
    return " + ".join(component.name for component in method.components.values())


@check(*COMPONENTS, hint="the contracts are in harness/plugin/interfaces.py, with shapes and types.", foundation=True)
def check_contract(subject: Subject) -> None:
    """The target can be imported and made with its declared parameters, and has the methods of its contract."""
    declaration = subject.declaration
    target = declaration.load()
    if isinstance(declaration, MetricDeclaration):
        for cutoff in declaration.cutoffs:
            _takes(target, declaration.name, "histogram" if cutoff is None else "histogram, cutoff")
        return
    if subject.kind in ("reader", "protocol"):
        _takes(target, declaration.name, "card, root" if subject.kind == "reader" else "pairs, rate")
        return
    if not isinstance(target, type):
        raise CheckFailed(f"its target is {type(target).__name__} {declaration.name!r}, not a class.")
    _accepts_parameters(target, declaration)
    kind = subject.kind
    if isinstance(declaration, HasherDeclaration) and Need.EPOCHS in declaration.offers:
        kind = "learner"
    needed = dict(CONTRACTS[kind])
    if isinstance(declaration, HasherDeclaration) and Need.PAIR_LOSSES in declaration.offers:
        needed["pair_losses"] = "batch"
    for name, arguments in needed.items():
        function = getattr(target, name, None)
        if not callable(function) or (name == "__call__" and "__call__" not in dir(target)):
            offers = " (it offers EPOCHS, so it is a Learner)" if kind == "learner" else ""
            raise CheckFailed(f"class {target.__name__} has no method {name}{offers}.")
        _takes(function, f"{target.__name__}.{name}", arguments, method=True)
    for name, arguments in OPTIONAL.get(kind, {}).items():
        if callable(getattr(target, name, None)):
            _takes(getattr(target, name), f"{target.__name__}.{name}", arguments, method=True)
    _look_for_misspelt(target, {**needed, **OPTIONAL.get(kind, {})})


def _takes(function: Callable[..., Any], name: str, arguments: str, method: bool = False) -> None:
    """Whether a function can be called with these positional arguments; those of a method come after its self."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*([None] if method else []), *filter(None, arguments.split(", ")))
    except TypeError:
        raise CheckFailed(f"{name}{signature} cannot be called as {name.rpartition('.')[2]}({arguments}).") from None


def _accepts_parameters(target: type, declaration: Component) -> None:
    names = {parameter.name: parameter.default for parameter in declaration.parameters}
    names.update(dict.fromkeys(declaration.handed, ""))
    try:
        inspect.signature(target).bind(**names)
    except TypeError as error:
        raise CheckFailed(
            f"{target.__name__} cannot be made with {', '.join(names) or 'no arguments'}: {error}.",
            "each declared parameter reaches __init__ as a keyword argument of its name.",
        ) from None


def _look_for_misspelt(target: type, known: dict[str, str]) -> None:
    """Public methods whose name is nearly that of a method of the contract which is missing."""
    import difflib

    public = [name for name in vars(target) if not name.startswith("_") and callable(getattr(target, name))]
    missing = [name for name in known if not hasattr(target, name)]
    for name in public:
        near = difflib.get_close_matches(name, missing, 1, cutoff=0.75) if name not in known else []
        if near:
            raise CheckWarning(f"{target.__name__}.{name} is called by nobody: is {near[0]} meant?")
