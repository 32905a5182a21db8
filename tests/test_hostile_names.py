"""Files of strangers that name paths: nothing outside of the folders named is made, changed or removed.

Each case runs the command line and compares the file system before and after.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import stat
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data.faulty_server import Served, serving

from harness.records.index import DIGEST_BYTES
from harness.records.store import RunStore, record_bytes

CARD = {
    "name": "mini", "title": "Mini", "paper": "p", "licence": "l", "reader": "karpathy", "labels": "single",
    "classes": 3, "images": 1, "captions_per_image": 1, "image_size": "16 x 16",
    "backbones": {"image": "handcrafted", "text": "tfidf-svd"},
}  # fmt: skip
OUTSIDE = ("../victim", "x/../../victim", "..", "a\\..\\b", "C:/victim", "{victim}", "a\u001b[2J", "x" * 300)


def snapshot(folder: Path) -> dict[str, str]:
    """Every path below a folder, with kind and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = path.lstat().st_mode
        content = str(path.readlink()) if stat.S_ISLNK(kind) else path.read_bytes() if stat.S_ISREG(kind) else b""
        found[path.relative_to(folder).as_posix()] = f"{stat.S_IFMT(kind)} {content!r}"
    return found


@pytest.fixture
def outside(tmp_path):
    """``outside()`` is what lies beside the data root and the results folder: a victim with content."""
    for place in ("victim/deep", ".fetch-x"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "victim" / "thesis.txt").write_text("years of work")
    (tmp_path / "victim" / "deep" / "more.txt").write_text("more")

    def look() -> dict[str, str]:
        named = re.compile(r"(root|results|gift[^/]*|mini\.toml)(/|$)")
        return {path: what for path, what in snapshot(tmp_path).items() if not named.match(path)}

    look.victim = tmp_path / "victim"
    return look


def refused(result, *words):
    """One sentence, no traceback, another exit code than 0 and 70."""
    assert result.code not in (0, 70), result.out + result.err
    assert "Traceback" not in result.err + result.out
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert "\x1b" not in result.err
    for word in words:
        assert word in result.err, result.err


def toml(content: dict, above: str = "") -> str:
    """TOML of nested tables, with the plain keys first."""
    tables = {key: one for key, one in content.items() if isinstance(one, dict)}
    several = {key: one for key, one in content.items() if isinstance(one, list) and one and isinstance(one[0], dict)}
    lines = [f"{key} = {json.dumps(one)}" for key, one in content.items() if key not in {*tables, *several}]
    lines += [f"[{above}{key}]\n{toml(one, f'{above}{key}.')}" for key, one in tables.items()]
    lines += [f"[[{above}{key}]]\n{toml(one, f'{above}{key}.')}" for key, ones in several.items() for one in ones]
    return "\n".join(lines) + "\n"


# --- cards ---


PLACES = {
    "name": lambda path: {"name": path},
    "layout.folder": lambda path: {"layout": {"folder": path}},
    "layout.other_folders.0": lambda path: {"layout": {"folder": "m", "other_folders": [path]}},
    "layout.annotations": lambda path: {"layout": {"folder": "m", "annotations": path}},
    "layout.other_annotations.0": lambda path: {"layout": {"folder": "m", "other_annotations": [path]}},
    "layout.images": lambda path: {"layout": {"folder": "m", "images": path}},
    "layout.other_images.0": lambda path: {"layout": {"folder": "m", "other_images": [path]}},
    "layout.files.0.path": lambda path: {"layout": {"folder": "m", "files": [{"path": path}]}},
    "sources.0.unpack": lambda path: {"sources": [{"address": "http://127.0.0.1:9/a.zip", "unpack": path}]},
    "sources.0": lambda path: {"sources": [{"address": "http://127.0.0.1:9/a.zip", "file": path}]},
}


@pytest.mark.parametrize("key", PLACES)
def test_paths_of_a_card_are_refused_with_their_line(harness, tmp_path, outside, key):
    before = outside()
    (tmp_path / "root" / "m").mkdir(parents=True)
    for path in OUTSIDE:
        content = {**CARD, "layout": {"folder": "m", "annotations": "d.json", "images": "i"}, "sources": []}
        content |= PLACES[key](path.format(victim=outside.victim))
        (tmp_path / "mini.toml").write_text(toml(content))
        for verb in (["data", "fetch"], ["data", "check"]):
            result = harness(*verb, tmp_path / "mini.toml", "--data-root", tmp_path / "root")
            refused(
                result, f"{tmp_path / 'mini.toml'}, line ", f"key {key!r}" if key != "sources.0" else "key 'sources.0"
            )
    assert outside() == before


def test_the_light_listing_refuses_them_too(harness, tmp_path, outside):
    """It reads cards without their schema."""
    plugin = tmp_path / "root" / "listed.py"
    plugin.parent.mkdir()
    plugin.write_text(
        "from pathlib import Path\nfrom harness import hookimpl\n@hookimpl\n"
        f"def register_datasets(register):\n    register(Path({str(tmp_path / 'mini.toml')!r}))\n"
    )
    (tmp_path / "mini.toml").write_text(toml({**CARD, "layout": {"folder": "../victim", "annotations": "thesis.txt"}}))
    result = harness("data", "list", "--plugin", plugin, "--data-root", tmp_path / "root", "--json")
    (row,) = [row for row in result.json if row["name"] == "mini"]
    assert "no path below its folder" in row["found"]


@pytest.mark.parametrize("layout", [3, {"folder": "m", "other_folders": 3}, {"folder": "m", "files": 3}])
def test_the_light_listing_stands_cards_of_other_shapes(tmp_path, layout):
    from harness.data.sets.folder import found_word
    from harness.errors import HarnessError

    with pytest.raises(HarnessError, match="not as it should be"):
        found_word({"layout": layout}, tmp_path)


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return out.getvalue()


DATA = {
    "m/d.json": json.dumps({"images": [{"filename": "0.jpg", "classcode": 0, "sentences": [{"raw": "a"}]}]}).encode(),
    "m/i/0.jpg": b"no image",
}


@pytest.fixture
def fetched(harness, tmp_path):
    """``fetched(archive)``: the result of fetching the card whose one source is that archive."""

    def run(archive: bytes, **changed):
        with serving({"a.zip": Served(archive)}) as address:
            content = {**CARD, "layout": {"folder": "m", "annotations": "d.json", "images": "i"}}
            content |= {"sources": [{"address": f"{address}a.zip"}], **changed}
            (tmp_path / "mini.toml").write_text(toml(content))
            return harness("data", "fetch", tmp_path / "mini.toml", "--data-root", tmp_path / "root", "--tries", 1)

    return run


@pytest.mark.parametrize("link", ["m", "m/i", "m/d.json", ".fetch-mini"])
def test_fetching_writes_through_no_link_out_of_the_root(fetched, tmp_path, outside, link):
    place = tmp_path / "root" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(outside.victim / "thesis.txt" if link.endswith("json") else outside.victim)
    before = outside()
    refused(fetched(packed(DATA)), "link")
    assert outside() == before
    assert place.is_symlink()


@pytest.mark.parametrize("inside", ["lock", "new", "unpacked-x", "a.zip", "a.zip.part"])
def test_fetching_writes_through_no_link_among_what_is_unfinished(fetched, tmp_path, outside, inside):
    place = tmp_path / "root" / ".fetch-mini" / inside
    place.parent.mkdir(parents=True)
    place.symlink_to(outside.victim / ("thesis.txt" if inside in ("lock", "a.zip", "a.zip.part") else ""))
    before = outside()
    refused(fetched(packed(DATA)), "is a link")
    assert outside() == before


def test_a_link_to_the_folder_of_a_data_set_is_read(harness, tmp_path, outside):
    """The user made it; what is deeper lies below it."""
    (outside.victim / "set").mkdir()
    for name, content in DATA.items():
        path = outside.victim / name.replace("m/", "set/", 1)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "m").symlink_to(outside.victim / "set")
    content = {**CARD, "layout": {"folder": "m", "annotations": "d.json", "images": "i"}}
    (tmp_path / "mini.toml").write_text(toml(content))
    assert harness("data", "check", tmp_path / "mini.toml", "--data-root", tmp_path / "root").code == 0
    shutil.move(outside.victim / "set" / "i", outside.victim / "elsewhere")
    (outside.victim / "set" / "i").symlink_to(outside.victim / "elsewhere")
    result = harness("data", "check", tmp_path / "mini.toml", "--data-root", tmp_path / "root")
    refused(result, "is a link that leads out of")
    features = ["features", "export", "--dataset", tmp_path / "mini.toml", "--data-root", tmp_path / "root"]
    refused(harness(*features, "-o", tmp_path / "gift.npz"), "is a link that leads out of")


def test_links_beside_the_data_sets_are_none_of_ours(harness, tmp_path, outside):
    """A data root may hold links to other things, which are called as a file of some data set is."""
    (tmp_path / "root").mkdir()
    for name in ("images", "annotations", "dataset.json", "imgs", "train2014"):
        (tmp_path / "root" / name).symlink_to(outside.victim)
    found = {
        row["name"]: row["found"] for row in harness("data", "list", "--data-root", tmp_path / "root", "--json").json
    }
    assert {found[name] for name in ("ucm", "rsicd", "mscoco", "wiki", "iaprtc12")} == {"no"}
    for name in ("ucm", "mscoco", "wiki", "iaprtc12"):
        assert "is missing below" in harness("data", "check", name, "--data-root", tmp_path / "root").out


def test_a_card_whose_archive_leads_out_changes_nothing(fetched, tmp_path, outside):
    before = outside()
    for name in ("../../victim/thesis.txt", "m/../../../victim/thesis.txt", str(outside.victim / "thesis.txt")):
        refused(fetched(packed({**DATA, name: b"gone"})), "leads out of its folder")
        assert snapshot(tmp_path / "root") == {}
    assert outside() == before


def test_the_file_of_an_option_stays_below_the_root(harness, tmp_path, outside):
    (tmp_path / "root").mkdir()
    for file in ("../victim/thesis.txt", str(outside.victim / "thesis.txt")):
        result = harness("data", "check", f"folder:{file}", "--data-root", tmp_path / "root")
        refused(result, "--dataset folder:FILE")


# --- records ---


@pytest.fixture
def gift(tmp_path, record):
    """``gift(kind, hash=..., extra={...})``: a results folder, or an archive of it, of one hostile record."""

    def make(kind: str, folder: str = "0123456789ab", extra: dict[str, bytes] | None = None, **changed) -> Path:
        place = tmp_path / "gift" / "runs" / "m" / "d" / folder
        place.mkdir(parents=True)
        said = changed.pop("hash", folder)
        content = {**record(**changed).to_json(), "hash": said}  # no record of ours could be made with it
        (place / "record.json").write_text(json.dumps(content))
        for name, content in (extra or {}).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        if kind == "folder":
            return tmp_path / "gift"
        files = sorted(path for path in (tmp_path / "gift").rglob("*") if path.is_file())
        path = tmp_path / f"gift.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as opened:
                for file in files:
                    opened.write(file, file.relative_to(tmp_path / "gift"))
        else:
            with tarfile.open(path, "w:gz") as opened:
                for file in files:
                    opened.add(file, file.relative_to(tmp_path / "gift"))
        return path

    return make


HASHES = ("{victim}", "../../../../victim", "..", ".", "", "0123456789ABCDEF", "0123456789a", "ffffffffffff")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
@pytest.mark.parametrize("said", HASHES)
def test_a_record_whose_hash_is_none_is_not_merged(harness, tmp_path, outside, gift, kind, said):
    """A gift with ``"hash": "/home/someone/.ssh"`` replaced that folder."""
    source = gift(kind, hash=said.format(victim=outside.victim))
    before = outside()
    result = harness("results", "merge", source)
    assert result.code != 70
    assert "Traceback" not in result.err
    assert "left out" in result.err
    assert "0123456789ab" in result.err
    assert list(RunStore(tmp_path / "results").all()) == []
    assert outside() == before


@pytest.mark.parametrize("field", ["method", "dataset"])
@pytest.mark.parametrize("name", ["../../victim", "/etc", "..", ".hidden", "a/b", "x" * 300, "\u202e", "\ud800"])
def test_methods_and_data_sets_become_names_of_folders(harness, tmp_path, outside, gift, field, name):
    source = gift("folder", cell={field: name})
    before = outside()
    result = harness("results", "merge", source)
    assert result.code != 70
    runs = [path.relative_to(tmp_path / "results" / "runs") for path in tmp_path.glob("results/runs/**/record.json")]
    assert all(len(path.parts) == 4 and not path.parts[0].startswith(".") for path in runs)
    readable = len(name) < 255 and name != "\ud800"
    assert len(runs) == readable
    assert outside() == before


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_only_known_files_of_a_run_are_merged(harness, tmp_path, gift, kind):
    extra = {"arrays.npz": b"", "evil.sh": b"x", ".bashrc": b"x", "deep/record.json": b"x"}
    assert harness("results", "merge", gift(kind, extra=extra)).code == 0
    (folder,) = (stored.folder for stored in RunStore(tmp_path / "results").all())
    assert sorted(path.name for path in folder.rglob("*")) == ["arrays.npz", "record.json"]


def test_a_record_does_not_replace_another_run_s_folder(harness, tmp_path, record, gift):
    """Here a run lies under a hash that is not its own; it is somebody's work all the same."""
    store = RunStore(tmp_path / "results")
    store.check_writable()
    mine = store.write(record(hash="aaaaaaaaaaaa", cell={"method": "m", "dataset": "d"}), log_lines=["mine"])
    mine.rename(mine.with_name("0123456789ab"))
    before = snapshot(tmp_path / "results" / "runs")
    harness("results", "merge", gift("folder", cell={"method": "m", "dataset": "d"}))
    assert snapshot(tmp_path / "results" / "runs") == before


@pytest.mark.parametrize("verb", ["score", "verify", "show"])
def test_a_record_somewhere_else_is_written_nowhere(harness, tmp_path, outside, record, verb):
    """Given as a file: ``score`` writes where the record is, and only there."""
    folder = tmp_path / "gift" / "a"
    folder.mkdir(parents=True)
    one = record(status="ok", command="harness run --method cca-itq --features nowhere.npz").to_json()
    (folder / "record.json").write_text(json.dumps({**one, "hash": str(outside.victim)}))
    before = outside()
    words = {"score": ["score"], "verify": ["results", "verify"], "show": ["show"]}[verb]
    assert harness(*words, folder / "record.json").code != 70
    assert outside() == before


def crafted_index(results: Path, folder: str) -> None:
    """An index that names another folder for the run, and looks whole."""
    file = results / "index.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("UPDATE runs SET folder = ?", (folder,))
    connection.commit()
    connection.close()
    database = file.read_bytes()[:-DIGEST_BYTES]
    file.write_bytes(database + hashlib.blake2b(database, digest_size=DIGEST_BYTES).digest())


@pytest.mark.parametrize("verb", ["prune", "export", "compare"])
def test_folders_that_an_index_names_are_below_the_runs(harness, tmp_path, outside, record, verb):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    failed = {"status": "failed"} if verb == "prune" else {}
    store.write(record(**failed), {"per_query_i2t_map": np.zeros(2)})
    assert harness("results", "list").code == 0
    (outside.victim / "record.json").write_text("{}")
    crafted_index(tmp_path / "results", "../../victim")
    before = outside()
    words = {
        "prune": ["results", "prune", "--yes"],
        "export": ["results", "export", "--format", "archive", "-o", tmp_path / "gift.zip"],
        "compare": ["compare", "cca-itq", "cca-itq"],
    }[verb]
    result = harness(*words)
    assert result.code != 70
    assert outside() == before
    if (tmp_path / "gift.zip").exists():
        assert not [name for name in zipfile.ZipFile(tmp_path / "gift.zip").namelist() if "thesis" in name]


def test_what_killed_processes_left_is_not_looked_for_behind_links(harness, tmp_path, outside):
    """A results folder from elsewhere may hold links."""
    old = outside.victim / "deep" / ".notes.new-draft"
    old.mkdir()
    (old / "draft.txt").write_text("mine")
    long_ago = time.time() - 10 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    (tmp_path / "results" / "runs").mkdir(parents=True)
    (tmp_path / "results" / "runs" / "m").symlink_to(outside.victim)
    before = outside()
    RunStore(tmp_path / "results").check_writable()
    harness("results", "prune", "--yes")
    assert outside() == before


def test_runs_behind_links_out_of_the_results_are_neither_written_nor_pruned(harness, tmp_path, outside, record):
    place = outside.victim / "small" / "0123456789ab"
    place.mkdir(parents=True)
    (place / "record.json").write_bytes(record_bytes(record(status="failed")))
    store = RunStore(tmp_path / "results")
    store.check_writable()
    (store.runs / "cca-itq").symlink_to(outside.victim)
    before = outside()
    refused(harness("results", "prune", "--yes"), "is a link that leads out of")
    from harness.errors import HarnessError

    with pytest.raises(HarnessError, match="is a link that leads out of"):
        store.write(record())
    assert outside() == before


def test_an_index_that_is_a_link_is_not_written(harness, tmp_path, outside, record):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    store.write(record())
    connection = sqlite3.connect(outside.victim / "mine.sqlite")
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    (tmp_path / "results" / "index.sqlite").symlink_to(outside.victim / "mine.sqlite")
    before = outside()
    assert "0123456789ab" in harness("results", "list").out
    assert outside() == before


# --- state of sweeps ---


@pytest.mark.parametrize("link", ["sweeps", "sweeps/{name}", "sweeps/{name}/workers", "sweeps/{name}/invocations"])
def test_the_state_of_a_sweep_is_written_through_no_link_out_of_the_results(tmp_path, outside, link):
    """Unfinished files in it are removed by their ending."""
    from harness.errors import HarnessError
    from harness.execution.sweep_state import PlannedCell, open_state

    cells = [PlannedCell("h", "m", "d", "t")]
    name = open_state(tmp_path / "gift", "smoke", cells).name
    (outside.victim / "draft.new").write_text("mine")
    os.utime(outside.victim / "draft.new", (1, 1))
    place = tmp_path / "results" / link.format(name=name)
    place.parent.mkdir(parents=True)
    place.symlink_to(outside.victim)
    before = outside()
    with pytest.raises(HarnessError, match="is a link that leads out of"):
        open_state(tmp_path / "results", "smoke", cells)
    assert outside() == before


def test_a_whole_file_is_written_through_no_link(tmp_path, outside, monkeypatch):
    from harness.files import whole

    place = tmp_path / "results" / "state.json"
    place.parent.mkdir()
    place.with_name(".state.json.new-guessed").symlink_to(outside.victim / "thesis.txt")
    place.symlink_to(outside.victim / "thesis.txt")
    before = outside()
    with monkeypatch.context() as patched:
        patched.setattr(whole, "owner", lambda: "guessed")
        with pytest.raises(FileExistsError):
            whole.replace_text(place, "no")
    assert outside() == before
    whole.replace_text(place, "{}")
    assert place.read_text() == "{}"
    assert outside() == before


def test_a_worker_s_file_names_no_other_file(tmp_path, outside):
    """Files of dead workers are removed by host and process, which stand in the file."""
    from harness.execution.sweep_state import SweepState, _clear

    state = SweepState(tmp_path / "results" / "sweeps" / "x-1")
    state.workers.mkdir(parents=True)
    (outside.victim / "notes-1.json").write_text("{}")
    (outside.victim / "notes-1.log").write_text("mine")
    host = f"../../../../{outside.victim.name}/notes"
    dead = {"host": host, "pid": 1, "executor": "", "worker": "", "hash": "h", "title": "t"}
    (state.workers / "evil-1.json").write_text(json.dumps(dead))
    before = outside()
    _clear(state)
    state.tail_of("h")
    assert outside() == before
    assert not state.running()


def test_the_snapshot_sees_changes(tmp_path, outside):
    before = outside()
    (outside.victim / "thesis.txt").write_text("gone")
    assert outside() != before
    assert hashlib.sha256(repr(before).encode()).hexdigest()
