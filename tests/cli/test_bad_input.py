"""Wrong command lines: one clear sentence, a non-zero exit, and nothing left behind."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

NAMELESS = ("run", "--features", "{small}")
RUN = (*NAMELESS, "--method", "cca-itq")
EXPORT = ("data", "export", "--features", "{small}")
CHNR = (*NAMELESS, "--method", "chnr")


def of(features: str) -> tuple[str, ...]:
    """A run on another feature file."""
    return ("run", "--method", "cca-itq", "--features", features)


UCM = ("run", "--method", "cca-itq", "--dataset", "ucm")

COMMAND_LINES = {
    # names
    "no verb of that name": (("rnu",), ["unknown verb 'rnu'", "did you mean 'run'"]),
    "no verb of that name in a group": (("plugin", "chek"), ["unknown verb of harness plugin 'chek'", "'check'"]),
    "no option of that name": ((*RUN, "--nose", "0.4"), ["--nose", "--noise"]),
    "stray word": ((*RUN, "chnr"), ["chnr"]),
    "no method": (NAMELESS, ["no method named", "--method", "harness list methods"]),
    "method": ((*NAMELESS, "--method", "chnrr"), ["unknown method 'chnrr'", "did you mean 'chnr'"]),
    "one method of several": ((*NAMELESS, "--method", "cca-itq,cnhr"), ["'cnhr'", "'chnr'"]),
    "hasher": ((*RUN, "--hasher", "contrastiv"), ["unknown hasher 'contrastiv'", "'contrastive'"]),
    "detector": ((*RUN, "--detector", "orcale"), ["unknown detector 'orcale'", "'oracle'"]),
    "objective": ((*CHNR, "--objective", "nt-xnet"), ["unknown objective 'nt-xnet'", "'nt-xent'|known: nt-xent"]),
    "protocol": ((*RUN, "--protocol", "derangment"), ["unknown protocol 'derangment'", "'derangement'"]),
    "dataset": (("run", "--method", "cca-itq", "--dataset", "ucmm"), ["unknown dataset 'ucmm'", "'ucm'"]),
    "metric": ((*RUN, "--metric", "mpa"), ["unknown metric 'mpa'", "'map'"]),
    "metric with an impossible cutoff": ((*RUN, "--metric", "map@0"), ["metric map@0", "from 1 to"]),
    "metric with a cutoff of 5,000 digits": ((*RUN, "--metric", "map@" + "9" * 5000), ["expected a cutoff from 1 to"]),
    "metric that takes no cutoff": ((*RUN, "--metric", "map_optimistic@5"), ["takes no cutoff"]),
    "preset": ((*CHNR, "--preset", "relased"), ["unknown preset", "'released'"]),
    "standardise": ((*RUN, "--standardise", "scaler"), ["--standardise 'scaler'", "'scalar'"]),
    "overwrite": ((*RUN, "--overwrite", "allways"), ["--overwrite 'allways'", "'always'"]),
    "device": ((*RUN, "--device", "gpu"), ["--device gpu", "cpu"]),
    "device of a sweep": (("sweep", "smoke", "--device", "gpu"), ["--device gpu", "cpu"]),
    "no shard": (("sweep", "smoke", "--shard", "3"), ["--shard", "2/3"]),
    "no workers of a plan that is only shown": (("sweep", "smoke", "--dry-run", "--json", "--workers", "0"),
                                                ["--workers 0"]),
    "kind to list": (("list", "method"), ["unknown kind 'method'", "'methods'"]),
    "name to explain": (("info", "chnrr"), ["unknown name 'chnrr'", "'chnr'"]),
    "format": (("table", "--format", "latx"), ["--format 'latx'", "'latex'"]),
    # numbers
    "noise of 1": ((*RUN, "--noise", "1"), ["--noise 1", "from 0 up to, but not including, 1"]),
    "negative noise": ((*RUN, "--noise", "-0.1"), ["--noise -0.1"]),
    "noise that is no number": ((*RUN, "--noise", "40%"), ["--noise 40%", "expected numbers"]),
    "noise that is NaN": ((*RUN, "--noise", "nan"), ["--noise nan"]),
    "one noise of several": ((*RUN, "--noise", "0.2,0.4,4"), ["--noise 4"]),
    "trusted of 1": ((*RUN, "--trusted", "1"), ["--trusted 1"]),
    "negative trusted": ((*RUN, "--trusted=-0.2"), ["--trusted -0.2"]),
    "no bits": ((*RUN, "--bits", "0"), ["--bits 0", "at least 1"]),
    "half a bit": ((*RUN, "--bits", "1.5"), ["--bits 1.5", "whole numbers"]),
    "negative seed": ((*RUN, "--seed", "-1"), ["--seed -1", "0 or more"]),
    "negative data seed": ((*RUN, "--data-seed", "-1"), ["--data-seed -1"]),
    "range that runs backwards": ((*RUN, "--seed", "4-0"), ["--seed 4-0", "backwards", "0-4"]),
    "no epochs": ((*CHNR, "--epochs", "0"), ["--epochs 0", "at least 1"]),
    "epochs that are no number": ((*CHNR, "--epochs", "many"), ["--epochs", "many"]),
    "limit of nothing": ((*RUN, "--limit", "0"), ["--limit 0"]),
    "limit below what a split needs": ((*RUN, "--limit", "8"), ["8 images are too few", "at least 9"]),
    "seed beyond 63 bits": ((*RUN, "--seed", str(2**63)), [f"--seed {2**63}", f"at most {2**63 - 1}"]),
    "data seed beyond 63 bits": ((*RUN, "--data-seed", str(2**64)), ["--data-seed", f"at most {2**63 - 1}"]),
    "seed without measure": ((*RUN, "--seed", "9" * 4000), ["--seed of 13288 bits", "at most"]),
    "seed of more digits than Python reads": ((*RUN, "--seed", "9" * 5000), ["--seed 999", "expected whole numbers"]),
    "range without measure": ((*RUN, "--seed", f"0-{'9' * 5000}"), ["--seed 0-999", "expected whole numbers"]),
    "bits without measure": ((*RUN, "--bits", "1000000"), ["--bits 1000000", "at most 65536"]),
    "limit without measure": ((*RUN, "--limit", str(10**30)), ["--limit", "at most"]),
    "epochs without measure": ((*CHNR, "--epochs", str(10**30)), ["--epochs", "at most"]),
    "threads that are no number": ((*RUN, "--threads", "many"), ["--threads 'many'", "a whole number, or auto"]),
    "threads of many digits": ((*RUN, "--threads", "9" * 5000), ["--threads '999", "a whole number, or auto"]),
    "threads without measure": ((*RUN, "--threads", str(10**30)), ["--threads", "at most 4096"]),
    "workers without measure": ((*RUN, "--workers", str(10**30)), ["--workers", "at most 100000"]),
    "views without measure": ((*UCM, "--image-views", str(10**30)), ["--image-views"]),
    "cutoff without measure": ((*RUN, "--metric", f"map@{'9' * 5000}"), ["metric map@999", "from 1 to"]),
    "time without measure": ((*RUN, "--timeout", f"{'9' * 400}h"), ["--timeout", "expected a time"]),
    "size without measure": ((*RUN, "--memory-limit", f"{'9' * 400}GB"), ["--memory-limit", "expected a size"]),
    "parameter without measure": ((*RUN, "--set", f"iterations={10**30}"), ["hasher.iterations=1000", "63 bits"]),
    "parameter without end": ((*RUN, "--set", f"iterations={'9' * 400}"), ["hasher.iterations=999", "expected int"]),
    "resamples without measure": (("compare", "a", "b", "--resamples", str(10**30)), ["--resamples"]),
    # settings
    "setting without a value": ((*RUN, "--set", "ridge"), ["--set ridge", "KEY=VALUE"]),
    "setting without a key": ((*RUN, "--set", "=1"), ["--set =1", "KEY=VALUE"]),
    "setting of no parameter": ((*RUN, "--set", "rigde=1"), ["unknown parameter of method cca-itq 'rigde'", "'ridge'"]),
    "setting of another type": ((*RUN, "--set", "iterations=few"), ["hasher.iterations=few", "expected int"]),
    "setting below its limit": ((*RUN, "--set", "ridge=0"), ["hasher.ridge=0", "> 0"]),
    "setting outside its choices": ((*CHNR, "--set", "weights=cube"), ["detector.weights 'cube'", "'cubed'"]),
    "setting that several have": ((*CHNR, "--set", "batch_size=9"), ["hasher.batch_size or detector.batch_size"]),
    "setting of an unused backbone": ((*RUN, "--set", "image_backbone.size=4"), ["image_backbone"]),
    # empty values, as an unset variable in a script gives them
    "empty noise": ((*RUN, "--noise", ""), ["--noise"]),
    "empty seed": ((*RUN, "--seed", ","), ["--seed"]),
    "empty detector": ((*RUN, "--detector", ""), ["--detector"]),
    "empty results": ((*RUN, "--results", ""), ["--results is followed by an empty value"]),
    "empty option with a sign of equality": ((*RUN, "--results="), ["--results is followed by an empty value"]),
    "empty word": (("show", ""), ["show is followed by an empty value"]),
    # words that no file system, no number and no text can be
    "results that are no text": ((*RUN, "--results", "\udcff"), ["--results \\udcff is no text in utf-8"]),
    "card that is no text": (("data", "info", "\udcff.toml"), ["is no text in utf-8"]),
    "name of 300 characters": ((*RUN, "--results", "a" * 300), ["--results aaa", "File name too long"]),
    "path of 5,000 characters": (of("a/" * 2500 + "f.npz"), ["File name too long"]),
    "range of 5,000 digits": ((*RUN, "--seed", "0-" + "9" * 5000), ["--seed 0-999", "expected whole numbers"]),
    "size of 5,000 digits": ((*RUN, "--memory-limit", "9" * 5000 + "GB"), ["--memory-limit 999", "expected a size"]),
    "value of 50,000 brackets": ((*RUN, "--set", "ridge=" + "[" * 50_000), ["hasher.ridge=[[[", "expected float"]),
    "brackets that are no markup": ((*RUN, "--detector", "[/x][1]"), ["unknown detector '[/x][1]'"]),
    "pipe as features": (of("{pipe}"), ["is no file but a pipe"]),
    "pipe as a plan": (("sweep", "{pipe}"), ["is no file but a pipe"]),
    "pipe as a plugin": ((*RUN, "--plugin", "{pipe}"), ["is no file but a pipe"]),
    "pipe as a noise plan": ((*RUN, "--noise-plan", "{pipe}"), ["is no file but a pipe"]),
    # features
    "no feature file": (of("{nowhere}/f.npz"), ["f.npz", "no such file"]),
    "no npz": (of("{text}"), ["is no npz file"]),
    "missing arrays": (of("{lacking}"), ["labels, caption_image|caption_image, labels"]),
    "NaN": (of("{nan}"), ["image", "NaN or infinite values in 1 rows", "row 7"]),
    "infinite": (of("{infinite}"), ["text", "NaN or infinite", "row 5"]),
    "caption of no image": (of("{beyond}"), ["caption_image[3] = 120", "120 images"]),
    "image without caption": (of("{orphan}"), ["1 of 120 images have no caption", "image 4"]),
    "few images": (of("{few}"), ["6 images are too few", "at least 9"]),
    "labels of another length": (
        of("{labels}"), ["image (120, 24) and labels (119,) must have one row for each image"],
    ),
    "split without a query": (of("{queryless}"), ["no query image"]),
    "split of unknown codes": (of("{fourfold}"), ["split holds 4"]),
    "features and data set": ((*RUN, "--dataset", "toy"), ["--dataset and --features exclude each other"]),
    "features and backbone": ((*RUN, "--image-backbone", "x"), ["--image-backbone x", "--features"]),
    # noise plans
    "no plan file": ((*RUN, "--noise-plan", "{nowhere}/p.npz"), ["p.npz", "no such file"]),
    "file without a plan": ((*RUN, "--noise-plan", "{small}"), ["holds no noise plan"]),
    "plan that is no npz": ((*RUN, "--noise-plan", "{text}"), ["--noise-plan", "is no npz file"]),
    "plan of other data": ((*RUN, "--noise-plan", "{plan}"), ["is of other data"]),
    "rate where the protocol takes none": ((*RUN, "--protocol", "given", "--noise", "0.2"), ["leave out --noise 0.2"]),
    # data root
    "no data root": (UCM, ["--data-root", "UCM_captions"]),
    "missing data root": ((*UCM, "--data-root", "{nowhere}"), ["nowhere", "dataset.json"]),
    "empty data root": ((*UCM, "--data-root", "{empty}"), ["empty", "dataset.json"]),
    # the rest
    "results are a file": ((*RUN, "--results", "{text}"), ["--results", "cannot be written"]),
    "plugin that is not there": ((*RUN, "--plugin", "{nowhere}/p.py"), ["p.py is missing"]),
    "plugin that raises": ((*RUN, "--plugin", "{broken}"), ["broken.py", "ZeroDivisionError", "line 1"]),
    "combination that cannot work": ((*RUN, "--objective", "nt-xent"), ["has a loss of its own"]),
    "run that is not there": (("show", "abcdef"), ["no run 'abcdef'"]),
    "table of nothing": (("table",), ["no records", "--results"]),
    "codes that are not there": (("evaluate", "--codes", "{nowhere}/c.npz"), ["c.npz", "no such file"]),
    "codes without labels": (("evaluate", "--codes", "{text}"), ["is no npz file"]),
    "export to nowhere": ((*EXPORT, "-o", "{nowhere}/x.npz"), ["x.npz", "cannot be written"]),
    "export of several cells": ((*EXPORT, "--noise", "0,0.2", "-o", "{out}"), ["one file holds one"]),
    "number of a cell that is none": ((*EXPORT, "--cell", "limit=²", "-o", "{out}"), ["--cell limit ²"]),
    "key of a cell": ((*EXPORT, "--cell", "nose=0.2", "-o", "{out}"), ["unknown key of --cell", "'noise'"]),
}  # fmt: skip


@pytest.fixture
def places(features, tmp_path, harness):
    """Files that command lines name, made when they are needed."""

    def changed(name, array, place, value):
        def make():
            path = features(name)
            with np.load(path) as stored:
                arrays = dict(stored)
            arrays[array][place] = value
            np.savez(path, **arrays)
            return path

        return make

    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    def plan():
        path = tmp_path / "plan.npz"
        assert harness("data", "export", "--features", features("elsewhere", seed=9), "-o", path).code == 0
        return path

    def pipe():
        os.mkfifo(tmp_path / "pipe")
        return tmp_path / "pipe"

    def folder():
        (tmp_path / "empty").mkdir()
        return tmp_path / "empty"

    return {
        "small": features,
        "nowhere": lambda: tmp_path / "nowhere",
        "out": lambda: tmp_path / "out.npz",
        "empty": folder,
        "pipe": pipe,
        "text": lambda: write("words.npz", "no archive"),
        "broken": lambda: write("broken.py", "1 / 0\n"),
        "plan": plan,
        "lacking": lambda: features("lacking", drop=("labels", "caption_image")),
        "nan": changed("nan", "image", (7, 2), np.nan),
        "infinite": changed("infinite", "text", (5, 0), np.inf),
        "beyond": changed("beyond", "caption_image", 3, 120),
        "orphan": changed("orphan", "caption_image", slice(8, 10), 0),
        "few": lambda: features("few", n=6, classes=2),
        "labels": lambda: features("labels", extra={"labels": np.zeros(119, dtype=int)}),
        "queryless": lambda: features("queryless", extra={"split": np.arange(120) % 2 * 2}),
        "fourfold": lambda: features("fourfold", extra={"split": np.arange(120) % 5}),
    }


@pytest.mark.parametrize("what", COMMAND_LINES)
def test_wrong_command_line_gets_one_sentence_and_leaves_nothing(harness, places, tmp_path, what):
    words, expected = COMMAND_LINES[what]
    named = {name for word in words for name in re.findall(r"{(\w+)}", word)}
    made = {name: places[name]() for name in named}
    result = harness(*(re.sub(r"{(\w+)}", lambda found: str(made[found[1]]), word) for word in words))
    assert result.code == 2, (result.code, result.out, result.err)
    assert result.out == ""
    errors = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.err
    assert "Traceback" not in result.err
    assert "Internal error" not in result.err
    for word in expected:
        assert any(choice in errors[0] for choice in word.split("|")), errors[0]
    assert len(errors[0]) < 450
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "out.npz").exists()


def test_internal_error_is_one_line_with_the_way_to_see_more(harness, features, monkeypatch):
    def fall_over(*arguments):
        raise RuntimeError("unexpected\nthing")

    monkeypatch.setattr("harness.cells.workbench.Workbench.prepare", fall_over)
    result = harness("run", "--method", "cca-itq", "--features", features())
    assert result.code == 70
    assert result.err == (
        "Internal error (RuntimeError): unexpected thing - set HARNESS_DEBUG=1 to see where, and please report it.\n"
    )
    monkeypatch.setenv("HARNESS_DEBUG", "1")
    assert "fall_over" in harness("run", "--method", "cca-itq", "--features", features()).err
