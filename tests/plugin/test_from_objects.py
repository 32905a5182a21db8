"""Classes and functions of a notebook, and imported modules, as plugin files."""

from __future__ import annotations

import importlib
import linecache
import re
import sys
import types
from itertools import count
from pathlib import Path
from textwrap import dedent

import pytest

from harness.errors import HarnessError
from harness.plugin.from_objects import plugin_files
from harness.plugin.loading import load_registry

CELLS = count(1)

HASHER = '''
class MyHasher:
    """Signs of random projections.

    And more.
    """

    def __init__(self, strength=1.0):
        self.strength = strength

    def fit(self, pairs, trust, run):
        cross = (pairs.image * trust.weight[:, None]).T @ pairs.text
        u, s, v = torch.linalg.svd(cross, full_matrices=False)
        draw = torch.randn(len(s), run.n_bits, generator=run.generator("projection"))
        scaled = s.pow(self.strength)[:, None] * draw
        self.image_map, self.text_map = u @ scaled, v.T @ scaled

    def encode_image(self, image):
        return image @ self.image_map  # a comment

    def encode_text(self, text):
        return text @ self.text_map
'''

DETECTOR = "class Mine:\n    def fit(self, pairs, run):\n        return {}\n"


class Notebook:
    """Runs cells as IPython does: each is a file of its own in linecache, all share the names of ``__main__``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = types.ModuleType("__main__")

    def run(self, cell: str, keep_source: bool = True) -> None:
        name = f"<ipython-input-{next(CELLS)}-of-a-test>"
        text = dedent(cell)
        if keep_source:
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec", dont_inherit=True), vars(self.module))

    def __getitem__(self, name: str):
        return vars(self.module)[name]

    def file(self, *names: str) -> Path:
        (file,) = plugin_files([self[name] for name in names], self.folder)
        return file

    def refusal(self, name: str) -> str:
        with pytest.raises(HarnessError) as refused:
            self.file(name)
        assert not list(self.folder.glob("*"))
        text = str(refused.value)
        assert text.endswith(".")
        assert "\n" not in text
        return text


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    made = Notebook(tmp_path / "plugins")
    monkeypatch.setitem(sys.modules, "__main__", made.module)
    monkeypatch.setattr(linecache, "cache", {})
    return made


def hash_of(file: Path, kind: str, name: str) -> str:
    registry = load_registry([file])
    return registry.source_hash(registry.get(kind, name))


def imported(file: Path):
    """What the written file defines, without the module that it was written from."""
    names: dict = {"__name__": "written"}
    exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), names)
    return names


def test_class_of_a_cell_is_a_hasher_and_a_method(notebook):
    notebook.run("import torch")
    notebook.run(HASHER)
    file = notebook.file("MyHasher")
    registry = load_registry([file])
    hasher = registry.get("hasher", "my-hasher")
    assert re.fullmatch(r"MyHasher-[0-9a-f]{12}\.py", file.name)
    assert hasher.summary == "Signs of random projections."
    assert [(parameter.name, parameter.default) for parameter in hasher.parameters] == [("strength", 1.0)]
    assert hasher.offers.names == ()
    assert registry.get("method", "my-hasher").recipe.hasher == "my-hasher"
    assert "# a comment" in file.read_text()
    assert "--plugin" in file.read_text().splitlines()[1]


def test_learner_offers_what_it_has(notebook):
    notebook.run("""
        from harness import Phase
        class Walk:
            def begin(self, pairs, phases, run): pass
            def step(self, batch, trust): pass
            def encode_image(self, image): pass
            encode_text = encode_image
        class WalkOnLosses(Walk):
            name = "losses"
            phases = (Phase("one", 3), Phase("two", 4))
            def pair_losses(self, batch): pass
    """)
    registry = load_registry(plugin_files([notebook["Walk"], notebook["WalkOnLosses"]], notebook.folder))
    walk, losses = registry.get("hasher", "walk"), registry.get("hasher", "losses")
    assert walk.offers.names == ("epochs",)
    assert [phase.epochs for phase in walk.phases] == [50]
    assert losses.offers.names == ("epochs", "pair-losses")
    assert [phase.epochs for phase in losses.phases] == [3, 4]
    assert registry.names("method").count("losses") == 1


def test_detectors_and_objectives_are_told_by_their_methods(notebook):
    notebook.run("""
        from harness import Need
        class Look:
            def fit(self, pairs, run, twice=False): pass
        class Watch(Look):
            def observe(self, evidence, run): pass
        class Choose(Look):
            needs = Need.TRUSTED
        class Margin:
            def __call__(self, z_image, z_text, trust): pass
    """)
    names = ("Look", "Watch", "Choose", "Margin")
    registry = load_registry(plugin_files([notebook[name] for name in names], notebook.folder))
    needs = {name: registry.get("detector", name).needs.names for name in ("look", "watch", "choose")}
    assert needs == {"look": (), "watch": ("epochs",), "choose": ("trusted",)}
    assert registry.get("objective", "margin").target.__name__ == "Margin"
    assert not {"look", "watch", "choose", "margin"} & {*registry.names("method"), *registry.names("hasher")}


def test_attribute_that_says_nonsense_is_refused_by_the_registry_and_a_method_of_that_name_is_none(notebook):
    notebook.run("class Mine:\n    needs = 3\n    def fit(self, pairs, run): pass\n    def precisions(self): pass")
    with pytest.raises(HarnessError, match=r"detector 'mine': needs must be of type Need, not int\.$"):
        load_registry([notebook.file("Mine")])


def test_everything_that_a_class_refers_to_is_in_the_file(notebook):
    notebook.run("""
        import math
        import os.path
        import xml.dom.minidom
        import numpy as np
        from collections import OrderedDict as Ordered
        from functools import lru_cache
        from math import sqrt
        from typing import NamedTuple
        from torch import float32, sigmoid
        from harness import Phase
        TABLE = {"a": (1, -2.5, None, True), "b": [float("inf"), {"y", "x"}, b"z"], "c": frozenset()}
        PHASES = [Phase("one", 3)]
        class Point(NamedTuple):
            x: int = 3
    """)
    notebook.run("""
        def outer(x):
            return inner(x) + OFFSET
        @lru_cache
        def inner(x):
            return outer(x - 1) if x > 0 else sqrt(4)
        square = lambda x: x * x
        also = outer
        OFFSET = 7
        CALLS = {"outer": outer, "ordered": Ordered, "later": [Phase]}
    """)
    notebook.run("""
        class Base:
            table = TABLE
        class Mine(Base):
            size = square(3)
            def fit(self, pairs, run=OFFSET):
                def within(values):
                    return [also(value) for value in values]
                names = xml.dom.minidom.Document, os.path.join("a", "b"), Ordered, float32, sigmoid, Point().x
                return within([1]), self.table, self.size, math.pi + np.pi, CALLS["outer"](0), PHASES, names, len([])
    """)

    file = notebook.file("Mine")
    written, live = imported(file)["Mine"], notebook["Mine"]
    assert written().fit(None) == live().fit(None)
    assert written.table is not live.table
    text = file.read_text()
    assert "import xml.dom.minidom" in text
    assert "from torch import float32, sigmoid" in text
    assert "__main__" not in text
    load_registry([file])


def test_order_of_cells_and_sets_makes_no_difference(notebook, tmp_path):
    parts = ["WORDS = {'b', 'a', 'c'}", "def f(x):\n    return WORDS", "def g(x):\n    return f(x)"]
    texts = []
    for order in (parts, parts[::-1]):
        other = Notebook(tmp_path / "plugins")
        for part in order:
            other.run(part)
        other.run(DETECTOR.format("g(pairs), WORDS"))
        texts.append(other.file("Mine"))
    assert texts[0] == texts[1]
    assert "WORDS = set(['a', 'b', 'c'])" in texts[0].read_text()


def test_same_source_is_the_same_file_and_an_edit_another_cell(notebook):
    notebook.run("import torch")
    notebook.run(HASHER)
    first = notebook.file("MyHasher")
    written = first.stat().st_mtime_ns
    notebook.run(HASHER)
    assert notebook.file("MyHasher") == first
    assert first.stat().st_mtime_ns == written
    notebook.run(HASHER.replace("# a comment", "# another"))
    commented = notebook.file("MyHasher")
    notebook.run(HASHER.replace("s.pow", "(2 * s).pow"))
    edited = notebook.file("MyHasher")
    hashes = [hash_of(file, "hasher", "my-hasher") for file in (first, commented, edited)]
    assert len({first, commented, edited}) == 3
    assert hashes[0] == hashes[1] != hashes[2]


def test_what_a_class_refers_to_counts_for_the_hash(notebook):
    notebook.run(f"SCALE = 2\ndef f(x):\n    return x\n{DETECTOR.format('f(SCALE)')}")
    before = hash_of(notebook.file("Mine"), "detector", "mine")
    notebook.run("SCALE = 3")
    scaled = hash_of(notebook.file("Mine"), "detector", "mine")
    notebook.run("def f(x):\n    return x + 1")
    assert len({before, scaled, hash_of(notebook.file("Mine"), "detector", "mine")}) == 3


def test_hooks_of_a_notebook_are_given_one_by_one_or_all_together(notebook):
    notebook.run("import torch\nfrom harness import Recipe, hookimpl")
    notebook.run(HASHER)
    notebook.run("""
        @hookimpl
        def register_hashers(register):
            register("mine", MyHasher, summary="s")
        @hookimpl
        def register_methods(register):
            register("mine", Recipe("mine"), summary="s")
    """)
    hooks = [notebook["register_hashers"], notebook["register_methods"]]
    for given in (hooks, notebook.module, [notebook.module]):
        registry = load_registry(plugin_files(given, notebook.folder))
        assert registry.get("method", "mine").recipe.hasher == "mine"
        assert registry.get("hasher", "mine").parameters[0].name == "strength"


def test_annotations_are_left_alone_where_python_leaves_them_alone(notebook):
    notebook.run("""
        from __future__ import annotations
        class Mine:
            def fit(self, pairs: Unknown, run: Whatever) -> Nothing:
                return 1
    """)
    notebook.run("def f(x: int) -> list[str]:\n    return x")
    file = notebook.file("Mine")
    assert "from __future__ import annotations\n" in file.read_text()
    load_registry([file])
    notebook.run(DETECTOR.format("f(1)"))
    assert "__future__" not in notebook.file("Mine").read_text()


def test_class_with_torch_modules_as_base(notebook):
    notebook.run("""
        import torch
        from torch import nn
        class Net(nn.Module):
            def forward(self, x):
                return nn.functional.relu(x)
        class Mine(nn.Module):
            def __init__(self, width=3):
                super().__init__()
                self.net = Net()
            def fit(self, pairs, trust, run): pass
            def encode_image(self, image): return self.net(image)
            def encode_text(self, text): return self.net(text)
    """)
    hasher = load_registry([notebook.file("Mine")]).get("hasher", "mine")
    assert [parameter.name for parameter in hasher.parameters] == ["width"]


REFUSED = {
    "tensor": ("import torch\nW = torch.ones(2)", "W", "class Mine refers to 'W', a value of type Tensor, which"),
    "open_file": ("W = open('/dev/null')\nW.close()", "W", "class Mine refers to 'W', a value of type TextIOWrapper"),
    "object": ("class A:\n    x = 1\nW = [A()]", "W", "class Mine refers to 'W', a value of type A, which cannot"),
    "itself": ("W = []\nW.append(W)", "W", "class Mine refers to 'W', a list that holds itself, which cannot"),
    "large": ("W = list(range(10**5))", "W", "class Mine refers to 'W', a list of 688,890 characters, which cannot"),
    "undefined": ("", "nowhere", "class Mine refers to 'nowhere', which is not defined: run what defines"),
    "closure": (
        "def make(k):\n    def f(x):\n        return k\n    return f\nf = make(3)", "f(1)",
        "class Mine refers to 'f': function f was made inside a function, whose local variables it may hold",
    ),
    "through_a_helper": (
        "import torch\nW = torch.ones(2)\ndef f(x):\n    return W", "f(1)",
        "class Mine: function f refers to 'W', a value of type Tensor",
    ),
    "module_in_memory": (
        "import types\nM = types.ModuleType('M')", "M.x",
        "class Mine refers to the module 'M', which other processes do not find: write `from M import ...`",
    ),
    "wrapped_afterwards": (
        "from functools import lru_cache\ndef f(x):\n    return x\nf = lru_cache(f)", "f(1)",
        "class Mine refers to 'f': function f was wrapped after it was written",
    ),
    "default_changed": (
        "S = 1\ndef f(x=S):\n    return x\nS = 2", "f()",
        "class Mine refers to 'f': function f: a default value is 1, and where it was written now stands 2: run its",
    ),
    "reserved": ("def register_detectors(x):\n    pass", "register_detectors", "would mean two things in one file"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_stand_in_a_file_is_refused_by_name(notebook, case):
    before, expression, sentence = REFUSED[case]
    notebook.run(before)
    notebook.run(DETECTOR.format(expression))
    assert sentence in notebook.refusal("Mine")


CHANGED = {
    "method_added": ("Mine.observe = lambda self, evidence, run: 1", "'observe' was changed after it was written"),
    "method_replaced": ("def g(self, pairs, run):\n    pass\nMine.fit = g", "'fit' was changed after it was written"),
    "decorated_replaced": (
        "def g(self):\n    pass\nMine.slow = property(g)",
        "'slow' was changed after it was written",
    ),
    "value_replaced": ("Mine.size = 4", "'size' was changed after it was written"),
    "base_anew": (
        "class Base:\n    pass",
        "class Mine: its base Base was defined anew after it: run the cell of",
    ),
    "default_anew": ("SIZE = 4", "class Mine, fit: a default value is 3, and where it was written now stands 4"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_class_that_is_not_what_its_source_says_is_refused(notebook, case):
    notebook.run("SIZE = 3\nclass Base:\n    pass")
    notebook.run(
        "class Mine(Base):\n    size = 3\n    __own = 1\n    def fit(self, pairs, run=SIZE):\n"
        "        return self.__own\n    def __hidden(self):\n        pass\n"
        "    @property\n    def slow(self):\n        pass\n"
    )
    load_registry([file := notebook.file("Mine")])
    file.unlink()
    change, sentence = CHANGED[case]
    notebook.run(change)
    assert sentence in notebook.refusal("Mine")


@pytest.mark.parametrize("code", [DETECTOR.format(1), "Mine = type('Mine', (), {'fit': lambda self, pairs, run: 1})"])
def test_class_without_source_is_refused(notebook, code):
    notebook.run(code, keep_source=False)
    assert notebook.refusal("Mine").startswith(
        "Python cannot give the source of class Mine (it was typed at a prompt, "
    )


def test_source_of_an_earlier_class_of_that_name_is_not_taken(notebook):
    notebook.run(DETECTOR.format(1))
    notebook.run(DETECTOR.format(2), keep_source=False)
    assert notebook.refusal("Mine").startswith("Python cannot give the source of class Mine")


def test_class_without_methods_is_found_unless_several_cells_may_be_it(notebook):
    notebook.run("class Sizes:\n    width = 3\nclass Options:\n    width = int('3')")
    notebook.run("from dataclasses import dataclass\n@dataclass\nclass Config:\n    width: int = 3")
    notebook.run(DETECTOR.format("Sizes.width, Options.width, Config().width"))
    file = notebook.file("Mine")
    assert imported(file)["Mine"]().fit(None, None) == (3, 3, 3)
    notebook.run("class Sizes:\n    width = 4")
    notebook.run("@dataclass\nclass Config:\n    width: int = 4\n    depth: int = 1")
    edited = notebook.file("Mine")
    assert imported(edited)["Mine"]().fit(None, None) == (4, 3, 4)
    file.unlink()
    edited.unlink()
    notebook.run("class Options:\n    width = int('4')")
    assert "refers to 'Options': class Options has no methods and is written in several cells" in notebook.refusal(
        "Mine"
    )


MISSING = {
    "encode_text": (
        "def fit(self, pairs, trust, run): pass\n    def encode_image(self, image): pass",
        "class Mine has no encode_text: a hasher needs encode_text(self, text), which takes (m, d_text) features and "
        "returns (m, n_bits) real numbers; a bit is 1 where the number is above 0.",
    ),
    "encode_image": ("def fit(self, pairs, trust, run): pass", "class Mine has no encode_image: a hasher needs"),
    "fit": ("def encode_image(self, x): pass\n    encode_text = encode_image", "class Mine has no fit: a hasher"),
    "step": (
        "def begin(self, pairs, phases, run): pass\n    encode_image = encode_text = begin",
        "class Mine has no step: a hasher needs fit(self, pairs, trust, run), or, to train in epochs, begin(self,",
    ),
    "everything": ("def forward(self, x): pass", "class Mine is no hasher (fit, or begin and step; encode_image and"),
    "plain_name": (
        "name = '../up'\n    def fit(self, pairs, run): pass",
        "class Mine: attribute name: '../up' is no plain name; use letters, digits",
    ),
}


@pytest.mark.parametrize("missing", MISSING)
def test_class_that_cannot_be_registered_is_refused(notebook, missing):
    body, sentence = MISSING[missing]
    notebook.run(f"class Mine:\n    {body}\n")
    assert notebook.refusal("Mine").startswith(sentence)


def test_hostile_names_make_no_path(notebook):
    for name in ("../../up", "a b", "x\x1b[31m", "ö" * 500, ""):
        cls = type("Mine", (), {"fit": lambda self, pairs, run: 1, "name": "mine"})
        cls.__name__ = name
        notebook.module.Mine = cls
        assert "\x1b" not in notebook.refusal("Mine")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (3, "plugins: an object of type int is none of a path, a module, a class and a function decorated with"),
        ([None], "plugins: an object of type NoneType is none of"),
        (lambda register: 1, "function <lambda> is no hook: decorate functions named register_hashers"),
        (types.ModuleType("empty"), "module 'empty' has no function decorated with @hookimpl: give the class itself"),
    ],
)
def test_entry_of_another_kind_is_refused(tmp_path, entry, sentence):
    with pytest.raises(HarnessError) as refused:
        plugin_files(entry, tmp_path)
    assert sentence in str(refused.value).replace("'<lambda>'", "<lambda>")


def test_object_in_place_of_its_class_is_refused(notebook):
    notebook.run(f"{DETECTOR.format(1)}\nmine = Mine()")
    assert notebook.refusal("mine").endswith(": give the class itself, without ().")


def test_paths_are_taken_as_they_are(tmp_path):
    file = tmp_path / "mine.py"
    assert plugin_files(str(file), tmp_path) == plugin_files([file, str(file)], tmp_path) == (file,)


def test_name_of_a_method_that_is_there_is_refused_by_the_registry(notebook):
    notebook.run("import torch")
    notebook.run(HASHER.replace('    """Signs', '    name = "cca-itq"\n    """Signs'))
    with pytest.raises(
        HarnessError, match=r"method 'cca-itq' is registered twice: by .*cca_itq.py and by .*MyHasher-.*\.py;"
    ):
        load_registry([notebook.file("MyHasher")])


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A writer and importer of loose modules: ``module(name="code")``; the last one is given back."""
    folder = tmp_path / "beside"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    names = []

    def write(**files: str):
        for name, code in files.items():
            (folder / f"{name}.py").write_text(dedent(code))
            names.append(name)
        importlib.invalidate_caches()
        return importlib.import_module(names[-1])

    yield write
    for name in names:
        sys.modules.pop(name, None)


def test_imported_module_is_its_file(module, tmp_path):
    hooks = "\n@hookimpl\ndef register_hashers(register):\n    register('mine', MyHasher, summary='s')\n"
    loose = module(loose_one=f"import torch\nfrom harness import hookimpl\n{HASHER}{hooks}")
    (file,) = plugin_files(loose, tmp_path)
    assert file == Path(loose.__file__)
    assert load_registry([file]).get("hasher", "mine").file == file


def test_module_of_a_plugin_that_is_installed_stays_what_it_is(tmp_path):
    closed_forms = importlib.import_module("harness_plugins.cca_itq")
    before = load_registry()
    after = load_registry(plugin_files(closed_forms, tmp_path))
    assert len(before.plugins) == len(after.plugins)


def test_module_that_needs_another_one_beside_it_is_refused(module, tmp_path):
    loose = module(beside_it="X = 1", loose_two="import os, beside_it")
    with pytest.raises(HarnessError, match="module loose_two holds `import os, beside_it`, which a plugin file cannot"):
        plugin_files(loose, tmp_path)
    finds_it = module(loose_three="import sys\nsys.path.insert(0, '.')\nimport beside_it")
    assert plugin_files(finds_it, tmp_path) == (Path(finds_it.__file__),)


def test_class_of_a_loose_module_is_copied_with_what_it_needs_from_others(module, tmp_path):
    loose = module(
        losses_of_mine="SCALE = 2\ndef loss(x):\n    return x * SCALE\n",
        loose_four=f"from losses_of_mine import loss\n{DETECTOR.format('loss(pairs)')}",
    )
    (file,) = plugin_files(loose.Mine, tmp_path / "plugins")
    assert imported(file)["Mine"]().fit(4, None) == 8
    assert "import" not in file.read_text().replace("import harness", "")
    code = Path(loose.__file__).read_text()
    Path(loose.__file__).write_text(code.replace("loss(pairs)", "loss(0) + 3"))
    (edited,) = plugin_files(loose.Mine, tmp_path / "plugins")
    assert imported(edited)["Mine"]().fit(4, None) == 3
    Path(loose.__file__).write_text(f"\n\n{code}")
    with pytest.raises(
        HarnessError, match=r"class Mine is not to be found in .*loose_four.py, which was edited since: "
    ):
        plugin_files(loose.Mine, tmp_path / "plugins")


def test_import_of_a_module_beside_it_within_a_method_is_refused(module, notebook):
    module(helpers_of_mine="X = 1")
    notebook.run(f"import helpers_of_mine\n{DETECTOR.format('helpers_of_mine.X')}")
    assert "refers to the module 'helpers_of_mine', which other processes do not find" in notebook.refusal("Mine")
    notebook.run("class Mine:\n    def fit(self, pairs, run):\n        import helpers_of_mine\n")
    assert "class Mine holds `import helpers_of_mine`, and other processes do not" in notebook.refusal("Mine")


def test_folder_that_cannot_be_written_is_a_sentence(notebook, tmp_path):
    (tmp_path / "plugins").write_text("")
    notebook.run(DETECTOR.format(1))
    with pytest.raises(HarnessError, match=r"plugins: .*plugins cannot be written: (Not a directory|File exists)\."):
        notebook.file("Mine")


def test_written_file_runs_in_workers_and_is_repeated_from_its_record(notebook, harness, features):
    notebook.run("import torch")
    notebook.run(HASHER)
    file = notebook.file("MyHasher")
    words = ("--method", "my-hasher", "--plugin", file, "--features", features(), "--bits", "8")
    here = harness("run", *words, "--seed", "0", "--json").json
    workers = harness(
        "run", *words, "--seed", "0-1", "--executor", "local", "--workers", "1", "--overwrite", "always", "--json"
    )
    assert workers.code == 0, workers.err
    assert [record["status"] for record in workers.json] == ["ok", "ok"]
    assert workers.json[0]["hash"] == here[0]["hash"]
    assert workers.json[0]["metrics"] == here[0]["metrics"]
    again = harness("run", "--from", here[0]["hash"], "--overwrite", "always", "--json")
    assert again.code == 0, again.err
    assert again.json[0]["metrics"] == here[0]["metrics"]
