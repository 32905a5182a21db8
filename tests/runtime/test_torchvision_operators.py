"""torchvision beside a torch that it was not built for, and libraries that import it, from the repository root."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.runtime import torchvision_operators
from harness.runtime.torchvision_operators import make_torchvision_importable

ROOT = Path(__file__).resolve().parent.parent.parent


def in_a_new_process(program: str, cwd: Path = ROOT) -> dict:
    """What a program prints as JSON on its last line; the folder it runs in is on its path, as with ``python -c``."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_torchvision_transformers_and_open_clip_import_from_the_repository_root():
    told = in_a_new_process("""
import json, sys
assert sys.path[0] == ""
import harness_plugins.transformers_features, harness_plugins.torchvision_features  # they take care of it themselves
import torch, torchvision, open_clip, transformers, timm
from harness.runtime.torchvision_operators import make_torchvision_importable
make_torchvision_importable()
transformers.BertConfig, transformers.AutoModel, transformers.AutoTokenizer
network = torchvision.models.get_model("squeezenet1_1", weights=None).eval()
with torch.inference_mode():
    shape = list(network(torch.zeros(1, 3, 64, 64)).shape)
places = [getattr(sys.modules.get(name), "__file__", None) or "" for name in ("datasets", "plugins")]
print(json.dumps({"shape": shape, "towers": len(open_clip.list_models()), "places": places}))
""")
    assert told["shape"] == [1, 1000]
    assert told["towers"] > 10
    assert not [place for place in told["places"] if place.startswith(str(ROOT))], "our folders shadow nothing"


def test_open_clip_and_timm_work_where_our_backbone_is_the_first_that_is_imported(tmp_path):
    told = in_a_new_process(
        """
import json, harness_plugins.open_clip_features
import timm, torchvision, open_clip, transformers
network = timm.create_model("resnet10t", pretrained=False)
print(json.dumps([type(network).__name__, open_clip.get_tokenizer("ViT-B-32")("a boat").shape[1]]))
""",
        tmp_path,
    )
    assert told == ["ResNet", 77]


def test_declared_operators_have_the_schema_of_torchvision_and_stay(tmp_path):
    told = in_a_new_process(
        """
import gc, json, torch
from harness.runtime import torchvision_operators as mine
mine._operators_load = lambda: False
before = [hasattr(torch.ops.torchvision, name) for name in ("nms", "qnms")]
for _ in range(2):
    mine.make_torchvision_importable()
    gc.collect()
print(json.dumps([before, *(str(getattr(torch.ops.torchvision, name).default._schema) for name in ("nms", "qnms"))]))
""",
        tmp_path,
    )
    schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    assert told == [[False, False], f"torchvision::nms{schema}", f"torchvision::qnms{schema}"]


@pytest.fixture
def declared(monkeypatch):
    """``declared(works=..., there=...)``: what is declared by three calls where these operators are there already."""

    def operators(*, works: bool, there: tuple[str, ...] = ()) -> list[str]:
        made: list[str] = []

        def library(namespace, kind):
            assert (namespace, kind) == ("torchvision", "FRAGMENT")
            return SimpleNamespace(define=lambda schema: made.append(schema.partition("(")[0]))

        monkeypatch.delitem(sys.modules, "torchvision", raising=False)
        monkeypatch.setattr(torchvision_operators, "_declared", None)
        monkeypatch.setattr(torchvision_operators, "_operators_load", lambda: works)
        monkeypatch.setattr("torch.library.Library", library)
        monkeypatch.setattr("torch.ops.torchvision", SimpleNamespace(**dict.fromkeys(there)))
        for _ in range(3):
            make_torchvision_importable()
        return made

    return operators


@pytest.mark.parametrize("there", [(), ("nms",), ("nms", "qnms")])
def test_missing_operators_are_declared_once_and_present_ones_left_alone(declared, there):
    assert declared(works=False, there=there) == [name for name in ("nms", "qnms") if name not in there]


def test_nothing_is_declared_beside_a_torchvision_that_works(declared):
    assert declared(works=True) == []


def test_a_torchvision_that_is_imported_already_is_left_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", object())
    monkeypatch.setattr(torchvision_operators, "_declared", None)
    monkeypatch.setattr(torchvision_operators, "_operators_load", lambda: pytest.fail("looked for its library"))
    make_torchvision_importable()
    assert torchvision_operators._declared is None


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """``installed("_C.so", ...)``: a torchvision with these files; gives the list of libraries that get loaded."""

    def make(*files, error=None):
        package = tmp_path / "torchvision"
        package.mkdir()
        for name in ("__init__.py", *files):
            (package / name).touch()
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "torchvision", raising=False)
        loaded = []

        def load(path):
            loaded.append(Path(path).name)
            if error is not None:
                raise error

        monkeypatch.setattr("torch.ops.load_library", load)
        return loaded

    return make


def test_compiled_library_that_cannot_be_loaded_means_missing_operators(installed):
    loaded = installed("_C.so", "_C.txt", error=OSError("undefined symbol"))
    assert torchvision_operators._operators_load() is False
    assert loaded == ["_C.so"]


@pytest.mark.parametrize("name", ["_C.so", "_C.pyd", "_C.cpython-312-darwin.so", "_C.dylib"])
def test_compiled_library_is_found_under_the_names_of_all_systems(installed, name):
    loaded = installed(name, "image.so")
    torchvision_operators._operators_load()
    assert loaded == [name]


def test_missing_torchvision_is_an_import_error(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="torchvision is not installed"):
        torchvision_operators._operators_load()
