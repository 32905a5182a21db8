"""``harness doctor``: is everything in order here?"""

from __future__ import annotations

import pytest


def lines_of(result) -> dict[str, str]:
    return {
        line[6:].split("  ")[0].strip(): line
        for line in result.out.splitlines()
        if line[:4].strip() in ("ok", "FAIL", "-")
    }


@pytest.fixture
def doctor(harness, monkeypatch):
    """The doctor without the look at the big libraries."""
    monkeypatch.setattr("harness.cli.doctor._imports", lambda thoroughly: (True, "imports", "not tried"))
    return lambda *words: harness("doctor", *words)


def test_a_large_library_that_is_not_there_is_a_finding(harness, monkeypatch):
    monkeypatch.setattr("harness.cli.doctor.SIDE_BY_SIDE", ("torchvision", "nobodys_library"))
    assert lines_of(harness("doctor"))["imports"].startswith("FAIL  imports                nobodys_library cannot be")
    assert "No module named 'nobodys_library'" in lines_of(harness("doctor", "--imports"))["imports"]


def test_everything_is_in_order_here(harness):
    result = harness("doctor", "--imports")
    assert result.code == 0, result.out
    assert result.out.rstrip().endswith("Everything is in order.")
    lines = lines_of(result)
    assert {
        "python",
        "harness",
        "torch",
        "numpy",
        "imports",
        "processor",
        "GPU",
        "plugins",
        "--results",
        "HARNESS_CACHE",
    } <= set(lines)
    assert "side by side" in lines["imports"]
    assert "methods" in lines["plugins"]


def test_broken_plugin_is_a_finding(doctor, tmp_path, monkeypatch):
    (tmp_path / "bad.py").write_text("1 / 0\n")
    monkeypatch.setenv("HARNESS_PLUGINS_DIR", str(tmp_path))
    result = doctor()
    assert result.code == 1
    assert "ZeroDivisionError" in lines_of(result)["plugin bad"]
    assert lines_of(result)["plugin bad"].startswith("FAIL")
    assert "1 of the checks failed." in result.out


def test_missing_library_is_a_finding(doctor, monkeypatch):
    monkeypatch.setattr("harness.runtime.environment.LIBRARIES", ("numpy", "nobodys-library"))
    result = doctor()
    assert result.code == 1
    assert lines_of(result)["nobodys-library"].startswith("FAIL")
    assert lines_of(result)["numpy"].startswith("ok")


def test_missing_data_root_is_a_finding(doctor, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "nowhere"))
    assert lines_of(doctor())["data root"].startswith("FAIL")
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    result = doctor()
    assert lines_of(result)["data root"].startswith("ok")
    assert "not there" in lines_of(result)["dataset ucm"]


def test_a_data_set_is_ok_only_where_its_files_are(doctor, tmp_path, monkeypatch):
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    result = doctor()
    assert result.code == 0
    lines = lines_of(result)
    assert lines["data root"].startswith("- ")
    assert lines["dataset ucm"].startswith("- ")
    assert lines["dataset toy"].startswith("ok ")
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    assert lines_of(doctor())["dataset ucm"].startswith("- ")
    (tmp_path / "UCM_captions").mkdir()
    (tmp_path / "UCM_captions" / "dataset.json").write_text("{}")
    line = lines_of(doctor())["dataset ucm"]
    assert line.startswith("- ")
    assert "`harness data check ucm` says what is missing" in line
    (tmp_path / "UCM_captions" / "imgs").mkdir()
    line = lines_of(doctor())["dataset ucm"]
    assert line.startswith("ok ")
    assert line.endswith("found")


@pytest.mark.parametrize("below", ["", "results"])
def test_results_that_are_a_file_are_a_finding(doctor, tmp_path, below):
    # once: only permission bits are looked at, and a file has those too.
    (tmp_path / "file").write_text("in the way")
    result = doctor("--results", tmp_path / "file" / below)
    assert lines_of(result)["--results"].startswith("FAIL")
    assert result.code == 1


def test_doctor_creates_nothing(doctor, results):
    doctor()
    assert not results.exists()
