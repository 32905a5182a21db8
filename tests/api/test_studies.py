"""``harness.run``, ``sweep`` and ``load``: the same cells, records and errors as the command line."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.cells.request import DECLARED

CLOSED = {"method": "random-codes", "bits": 8, "device": "cpu", "progress": False}


@pytest.fixture
def file(features):
    return features()


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def moody(tmp_path):
    """A plugin whose hasher raises on the seeds that it is told."""
    path = tmp_path / "moody.py"
    path.write_text(
        """
import time
import torch
from harness import Recipe, hookimpl

class Moody:
    def __init__(self, patience=2, sleep=0):
        self.patience, self.sleep = patience, sleep
    def fit(self, pairs, trust, run):
        if run.seed >= self.patience:
            time.sleep(self.sleep)
            raise ValueError("out of patience")
        self.weight = torch.randn(1000, run.n_bits, generator=run.generator("w"))
    def encode_image(self, image):
        return image @ self.weight[: image.shape[1]]
    encode_text = encode_image

@hookimpl
def register_hashers(register):
    register("moody", Moody, summary="raises")

@hookimpl
def register_methods(register):
    register("moody", Recipe(hasher="moody"), summary="raises")
"""
    )
    return path


class TestArguments:
    def test_every_option_is_an_argument(self):
        names = inspect.signature(harness.run).parameters
        assert {option.name for option in DECLARED} <= set(names)
        assert {"device", "threads", "workers", "overwrite", "trackers", "set", "plugins", "results"} <= set(names)
        assert "noise" not in inspect.signature(harness.sweep).parameters

    def test_an_axis_takes_a_value_or_any_iterable(self, file, results):
        runs = harness.run(**CLOSED | {"bits": (8, np.int64(16)), "seed": range(2)}, features=file, results=results)
        assert [(run.record.cell.bits, run.record.cell.seed) for run in runs] == [(8, 0), (8, 1), (16, 0), (16, 1)]

    def test_a_text_is_read_as_on_the_command_line(self, file, results):
        runs = harness.run(**CLOSED | {"seed": "0-1", "method": "random-codes,cca-itq"}, features=file, results=results)
        assert len(runs) == 4
        assert {run.record.cell.method for run in runs} == {"random-codes", "cca-itq"}

    def test_set_is_a_mapping_and_a_list_an_axis(self, features, results):
        runs = harness.run(
            "cca-itq", set={"hasher.ridge": [0.1, 1]}, bits=8, features=features(), results=results, progress=False
        )
        assert [run.record.cell.parameters["hasher.ridge"] for run in runs] == [0.1, 1.0]

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"metod": "chnr"}, "unknown argument of harness.run 'metod': did you mean 'method'"),
            ({"noize": 0.4}, "did you mean 'noise'"),
            ({"method": "chmr"}, "unknown method 'chmr': did you mean 'chnr'"),
            ({"noise": -0.1}, "--noise -0.1"),
            ({"noise": "high"}, "--noise high: expected numbers"),
            ({"noise": [0, None]}, "noise=None: expected a number."),
            ({"bits": 8.5}, "bits=8.5: expected a whole number."),
            ({"bits": True}, "bits=True: expected a whole number."),
            ({"seed": []}, "seed has no value: give one, or leave the argument out."),
            ({"epochs": [1, 2]}, "epochs=[1, 2]: expected one value."),
            ({"method": 3}, "method=3: expected text."),
            ({"features": 3}, "features=3: expected the path of a file or folder."),
            ({"drop_duplicates": "yes"}, "drop_duplicates='yes': expected True or False."),
            ({"set": ["a=b"]}, "set=['a=b']: expected a mapping"),
            ({"set": {"hasher.ridge": []}}, "set: 'hasher.ridge' needs a value"),
            ({"workers": 0}, "--workers 0: expected at least 1."),
            ({"on_error": "ignore"}, "unknown value of on_error 'ignore'"),
            ({"metrics": "mapp"}, "unknown metric 'mapp'"),
            ({"device": "toaster"}, "toaster"),
        ],
    )
    def test_a_mistake_is_one_sentence_and_nothing_is_written(self, file, results, wrong, said):
        with pytest.raises(harness.HarnessError) as told:
            harness.run(**{**CLOSED, "features": file, "results": results, **wrong})
        assert said in str(told.value)
        assert "\n" not in str(told.value)
        assert not results.exists()

    def test_a_method_is_needed(self, results):
        with pytest.raises(harness.HarnessError, match="no method named"):
            harness.run(results=results)

    def test_a_folder_that_cannot_be_written_is_told(self, file, tmp_path):
        (tmp_path / "results").write_text("no folder")
        with pytest.raises(harness.HarnessError, match="cannot be written"):
            harness.run(**CLOSED, features=file, results=tmp_path / "results")


class TestRuns:
    def test_records_are_those_of_the_shell(self, file, tmp_path):
        runs = harness.run(**CLOSED | {"seed": [0, 1]}, noise=0.4, features=file, results=tmp_path / "python")
        words = ["--method", "random-codes", "--bits", "8", "--seed", "0,1", "--noise", "0.4", "--device", "cpu"]
        command = [sys.executable, "-m", "harness", "run", *words, "--features", file, "--results", tmp_path / "shell"]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        assert len(runs) == 2
        for run in runs:
            place = run.folder.relative_to(tmp_path / "python")
            ours, theirs = (
                json.loads((tmp_path / door / place / "record.json").read_text()) for door in ("python", "shell")
            )
            for record in (ours, theirs):
                for measured in ("started", "finished", "timings", "cost"):
                    del record[measured]
                del record["environment"]["argv"]  # the words of the process
            assert ours == theirs
            assert ours["command"].startswith("harness run --method random-codes")
            for name in ("arrays.npz",):
                with np.load(tmp_path / "python" / place / name) as a, np.load(tmp_path / "shell" / place / name) as b:
                    assert set(a) == set(b)
                    assert all(np.array_equal(a[key], b[key]) for key in a)

    def test_what_is_finished_is_not_run_again(self, file, results):
        first = harness.run(**CLOSED, features=file, results=results)
        again = harness.run(**CLOSED, features=file, results=results)
        assert first[0].record.started == again[0].record.started
        third = harness.run(**CLOSED, features=file, results=results, overwrite="always")
        assert third[0].record.started > first[0].record.started

    def test_a_cell_is_repeated_from_its_record(self, file, results):
        first = harness.run(**CLOSED, features=file, results=results)
        again = harness.run(from_run=first[0].hash, results=results, seed=1, progress=False)
        assert (again[0].record.cell.seed, again[0].record.cell.bits) == (1, 8)

    def test_nothing_is_printed_without_progress_and_lines_with_it(self, file, results, capfd):
        harness.run(**CLOSED, features=file, results=results)
        assert capfd.readouterr() == ("", "")
        harness.run(**CLOSED | {"progress": True, "seed": 1}, features=file, results=results)
        out, err = capfd.readouterr()
        assert out == ""
        assert "[1/1] random-codes" in err
        assert "finished in" in err

    def test_a_failed_cell_is_a_warning(self, file, results, moody):
        with pytest.warns(UserWarning, match="moody on .* failed: .*out of patience.* It stands in runs.failed"):
            runs = harness.run(
                "moody", seed=[1, 2], plugins=moody, features=file, results=results, bits=8, progress=False
            )
        assert len(runs) == 2
        assert [run.record.cell.seed for run in runs.failed] == [2]
        assert "1 failed" in str(runs)

    def test_a_failed_cell_is_an_error_if_asked(self, file, results, moody):
        with pytest.raises(harness.HarnessError, match="out of patience"):
            harness.run(
                "moody", seed=[1, 2, 3], plugins=[moody], features=file, results=results, bits=8, progress=False,
                on_error="raise",
            )  # fmt: skip
        assert len(harness.load(results)) == 2  # no further cell was begun

    @pytest.mark.parametrize("executor", ["serial", "local"])
    def test_an_interrupt_leaves_what_was_finished(self, file, results, moody, executor):
        call = {
            "method": "moody", "seed": [0, 2], "set": {"hasher.sleep": 60}, "plugins": [str(moody)], "bits": 8,
            "features": str(file), "results": str(results), "executor": executor, "workers": 1, "device": "cpu",
        }  # fmt: skip
        code = (
            "import harness\n"
            "try:\n"
            f"    harness.run(**{call!r})\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', len(harness.load('results')))\n"
        )
        running = subprocess.Popen(
            [sys.executable, "-c", code], cwd=results.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            deadline = time.monotonic() + 60
            while not list(results.glob("runs/*/*/*/record.json")) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(1)  # the second cell sleeps
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=30)
        finally:
            running.kill()
        assert out == "interrupted 1\n", err

    def test_what_many_cells_have_to_say_is_one_warning(self, features, results):
        alone = features("alone", classes=40, n=60)  # of some classes there are only queries
        with pytest.warns(UserWarning, match="no relevant item in the database") as warned:
            harness.run(**CLOSED | {"seed": range(3)}, features=alone, results=results)
        assert len(warned) == 1

    def test_combinations_that_cannot_work_are_warnings(self, file, results):
        with pytest.warns(UserWarning, match="refused: .*shared"):
            runs = harness.run(**CLOSED | {"method": ["random-codes", "clip-sign"]}, features=file, results=results)
        assert len(runs) == 1
        assert len(runs.refused) == 1


PLAN = {"axes": {"method": ["random-codes"], "seed": range(3), "bits": [8]}, "fixed": {}}


class TestSweep:
    def test_a_mapping_is_a_plan(self, file, results):
        plan = {**PLAN, "fixed": {"features": Path(file)}}
        runs = harness.sweep(plan, executor="serial", results=results, progress=False)
        assert [run.record.cell.seed for run in runs] == [0, 1, 2]

    def test_workers_run_it_and_the_file_is_the_same_plan(self, file, results, tmp_path):
        path = tmp_path / "plan.toml"
        path.write_text(f'[axes]\nmethod = ["random-codes"]\nseed = "0-1"\nbits = [8]\n[fixed]\nfeatures = "{file}"\n')
        runs = harness.sweep(path, workers=1, results=results, progress=False)
        assert len(runs) == 2
        assert not runs.failed

    @pytest.mark.parametrize(
        ("plan", "said"),
        [
            ({"axes": {"metod": ["chnr"]}}, "unknown key 'metod' in [axes]: did you mean 'method'"),
            ({"axis": {"method": ["chnr"]}}, "unknown key 'axis': did you mean 'axes'"),
            ({}, "the table [axes] is missing"),
            ("papper-ucm", "unknown plan 'papper-ucm': did you mean 'paper-ucm'"),
        ],
    )
    def test_a_wrong_plan_is_one_sentence(self, results, plan, said):
        with pytest.raises(harness.HarnessError) as told:
            harness.sweep(plan, results=results)
        assert said in str(told.value)

    def test_what_chooses_cells_is_no_argument(self, results):
        with pytest.raises(harness.HarnessError, match=r"unknown argument of harness\.sweep 'noise'"):
            harness.sweep(PLAN, noise=0.4, results=results)


class TestLoad:
    def test_where_chooses(self, file, results):
        made = harness.run(**CLOSED | {"seed": [0, 1]}, noise=[0, 0.4], features=file, results=results)
        loaded = harness.load(results, where="noise=0.4 and method=random-codes")
        assert {run.record.cell.noise for run in loaded} == {0.4}
        assert set(loaded.hashes) < set(made.hashes)

    def test_nothing_there_is_an_error(self, tmp_path):
        with pytest.raises(harness.HarnessError, match=r"no record in .*/runs"):
            harness.load(tmp_path / "none")


def test_importing_harness_is_light():
    code = (
        "import sys, harness; assert harness.run and harness.HarnessError;"
        "print([name for name in ('torch', 'numpy', 'pandas', 'scipy', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
