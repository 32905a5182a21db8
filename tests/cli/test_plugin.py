"""`harness plugin check` and `list`: reports, exit codes, the handshake, and what HARNESS_PLUGINS leaves out."""

from __future__ import annotations

import pytest

from harness import HARNESS_API

METRIC = """
{head}
from harness import hookimpl

def first(histogram):
    total = histogram.total_relevant
    return (histogram.relevant[:, 0] > 0) * 1.0

@hookimpl
def register_metrics(register):
    register("{name}", first, summary="s", definition="d")
"""


@pytest.fixture
def metric(tmp_path):
    def write(name: str = "firsts", head: str = "", folder: str = "mine"):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / f"{name}.py"
        path.write_text(METRIC.format(name=name, head=head))
        return path

    return write


def test_a_good_plugin_gets_a_line_for_each_check_and_exit_code_0(harness, metric):
    result = harness("plugin", "check", metric())
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "plugin firsts"
    assert "metric firsts" in lines
    assert any(line.startswith("  ok       one-value-per-query: 1 ids") for line in lines)
    assert lines[-1].split("; ")[0].endswith(" ok")


def test_a_bad_one_gets_reason_hint_and_exit_code_1(harness, metric):
    file = metric()
    file.write_text(file.read_text().replace("* 1.0", "* 1"))
    result = harness("plugin", "check", file)
    assert result.code == 1
    assert "FAILED   one-value-per-query: firsts returned int64, not float64." in result.out
    assert "hint: " in result.out
    found = harness("plugin", "check", file, "--json", "--only", "one-value-per-query")
    assert found.code == 1
    assert [(row["check"], row["status"]) for row in found.json] == [("one-value-per-query", "failed")]
    assert found.json[0]["hint"]


def test_a_broken_file_is_a_failed_check_and_no_error_of_the_command(harness, tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import nothing_of_that_name\n")
    result = harness("plugin", "check", file)
    assert result.code == 1
    assert "FAILED   loads: ModuleNotFoundError" in result.out
    assert result.err == ""


def test_names_are_checked_and_unknown_ones_get_a_suggestion(harness):
    result = harness("plugin", "check", "derangement", "--quick")
    assert result.code == 0, result.out
    assert "protocol derangement" in result.out
    assert "protocol shuffle" not in result.out
    result = harness("plugin", "check", "noise-protocols", "--quick")
    assert "protocol shuffle" in result.out
    result = harness("plugin", "check", "derangment")
    assert result.code == 2
    assert "did you mean 'derangement'" in result.err
    result = harness("plugin", "check", "derangement", "--only", "noise-rte")
    assert result.code == 2
    assert "did you mean 'noise-rate'" in result.err
    assert harness("plugin", "check", "nowhere.py").code == 2
    assert harness("plugin", "check", "derangement", "--set", "novalue").code == 2


def test_list_shows_state_version_api_and_the_error_of_a_broken_one(harness, metric, monkeypatch):
    folder = metric(head='__version__ = "2.5"\nharness_api = 1').parent
    metric("splendid", head="1 / 0")
    monkeypatch.setenv("HARNESS_PLUGINS_DIR", str(folder))
    rows = {row["name"]: row for row in harness("plugin", "list", "--json").json}
    assert rows["firsts"]["state"] == "loaded"
    assert (rows["firsts"]["version"], rows["firsts"]["api"]) == ("2.5", 1)
    assert rows["splendid"]["state"] == "broken"
    assert "ZeroDivisionError" in rows["splendid"]["error"]
    assert rows["cca-itq"]["version"]
    result = harness("plugin", "list")
    assert result.code == 0
    assert "API 1" in result.out
    assert "splendid: ZeroDivisionError" in result.err


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (HARNESS_API + 1, ["written for plugin API 2, and this harness has 1", "update noisy-hashing-harness"]),
        (0, ["written for plugin API 0", "update the plugin"]),
        ("'one'", ["harness_api = 'one'", "expected the number"]),
        (True, ["expected the number"]),
    ],
)
def test_a_plugin_of_another_api_is_one_clear_sentence(harness, metric, said, words):
    result = harness("list", "metrics", "--plugin", metric(head=f"harness_api = {said}"))
    assert result.code == 2
    assert all(word in result.err for word in words), result.err
    assert result.err.count("\n") == 1


def test_names_in_the_environment_choose_plugins(harness, metric, monkeypatch):
    folder = metric("one").parent
    metric("two")
    monkeypatch.setenv("HARNESS_PLUGINS_DIR", str(folder))

    def states(choice: str | None) -> dict[str, str]:
        if choice is not None:
            monkeypatch.setenv("HARNESS_PLUGINS", choice)
        return {row["name"]: row["state"] for row in harness("plugin", "list", "--json").json}

    assert states(None)["two"] == "loaded"
    assert {name: state for name, state in states("one").items() if name in ("one", "two", "chnr")} == {
        "one": "loaded",
        "two": "left out",
        "chnr": "loaded",
    }
    assert states("")["one"] == "left out"
    assert states("-two, -chnr")["chnr"] == "left out"
    assert states("-two")["one"] == "loaded"
    result = harness("plugin", "list", "--plugin", folder / "two.py", "--json")
    assert [row["state"] for row in result.json if row["name"].startswith("two")][-1] == "loaded", "named outright"
    monkeypatch.setenv("HARNESS_PLUGINS", "onne")
    result = harness("plugin", "list")
    assert result.code == 2
    assert "unknown plugin in HARNESS_PLUGINS 'onne': did you mean 'one'" in result.err


def test_an_empty_choice_reaches_workers_on_other_machines(monkeypatch):
    from harness.execution.sweep import carried_environment

    monkeypatch.setenv("HARNESS_PLUGINS", "")
    assert carried_environment()["HARNESS_PLUGINS"] == ""
    monkeypatch.delenv("HARNESS_PLUGINS")
    assert "HARNESS_PLUGINS" not in carried_environment()


def test_a_metric_that_raises_costs_a_note_and_not_the_cell(harness, metric, features):
    file = metric()
    file.write_text(file.read_text().replace("* 1.0", "/ 0 * nonsense"))
    result = harness("run", "--method", "cca-itq", "--features", features(), "--bits", "16", "--plugin", file, "--json")
    assert result.code == 0, result.err
    (record,) = result.json
    assert record["status"] == "ok"
    assert record["metrics"]["i2t"]["firsts"] is None
    assert record["metrics"]["i2t"]["map"] is not None
    assert [note for note in record["notes"] if note.startswith("metric firsts has no value, because")]
    file.write_text(METRIC.format(name="firsts", head=""))
    mended = harness("score", record["hash"], "--plugin", file, "--json")
    assert mended.code == 0, mended.err
    shown = harness("show", record["hash"], "--json").json
    shown = shown[0] if isinstance(shown, list) else shown
    assert shown["metrics"]["i2t"]["firsts"] is not None
    assert not [note for note in shown["notes"] if note.startswith("metric firsts")]
