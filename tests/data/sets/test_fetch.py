"""Fetching: everything in its place, or nothing; and then checking what is there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from data.faulty_server import Served, serving
from PIL import Image

from harness.data.cards import DatasetCard
from harness.data.sets.check import check
from harness.data.sets.download import Patience
from harness.data.sets.fetch import MARK, fetch, plan
from harness.errors import HarnessError
from harness.plugin.loading import load_registry

N = 12
QUICK = Patience(tries=2, timeout=2.0, pause=0.01)


def jpeg(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


IMAGES = {f"{number}.jpg": jpeg(number) for number in range(N)}
ANNOTATION = json.dumps(
    {
        "images": [
            {"filename": name, "classcode": number % 3, "sentences": [{"raw": f"scene {number}"}]}
            for number, name in enumerate(IMAGES)
        ]
    }
).encode()


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return out.getvalue()


ZIP = archive({f"mini_set/imgs/{name}": content for name, content in IMAGES.items()})


def card_of(address: str, **changed) -> DatasetCard:
    content = {
        "name": "mini", "title": "Mini", "paper": "p", "licence": "l", "reader": "karpathy", "labels": "single",
        "classes": 3, "images": N, "captions_per_image": 1, "image_size": "16 x 16",
        "backbones": {"image": "handcrafted", "text": "tfidf-svd"},
        "layout": {"folder": "mini_set", "annotations": "dataset.json", "images": "imgs"},
        "sources": [
            {"address": f"{address}images.zip", "sha256": hashlib.sha256(ZIP).hexdigest(), "size": len(ZIP)},
            {"address": f"{address}dataset.json?download=1", "sha256": hashlib.sha256(ANNOTATION).hexdigest()},
        ],
    }  # fmt: skip
    return DatasetCard.model_validate({**content, **changed})


def page(address: str) -> list[dict[str, str]]:
    return [
        {"address": f"{address}images.zip"},
        {"address": "https://drive.example/x", "file": "dataset.json", "kind": "page", "remark": "log in first"},
    ]


@pytest.fixture
def web():
    files = {"images.zip": Served(ZIP), "dataset.json?download=1": Served(ANNOTATION)}
    with serving(files) as address:
        yield address, files


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def tree(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


WHOLE = sorted([f"mini_set/{MARK}", "mini_set/dataset.json", *(f"mini_set/imgs/{name}" for name in IMAGES)])


def test_a_data_set_is_fetched_and_in_order(web, tmp_path, registry):
    card = card_of(web[0])
    assert [step.state for step in plan(card, tmp_path)] == ["fetch", "fetch"]
    fetch(card, tmp_path, patience=QUICK)
    assert tree(tmp_path) == WHOLE
    assert check(registry, card, tmp_path, deep=True) == []
    assert [step.state for step in fetch(card, tmp_path, patience=QUICK)] == ["there", "there"]
    assert len(web[1]["images.zip"].asked) == 1


def test_a_failure_leaves_no_half_set_and_the_next_try_goes_on(web, tmp_path):
    web[1]["dataset.json?download=1"].statuses = [404]
    card = card_of(web[0])
    with pytest.raises(HarnessError, match="404"):
        fetch(card, tmp_path, patience=QUICK)
    assert not (tmp_path / "mini_set").exists()
    fetch(card, tmp_path, patience=QUICK)
    assert tree(tmp_path) == WHOLE
    assert len(web[1]["images.zip"].asked) == 1  # it was there already


def test_a_bad_archive_leaves_nothing(web, tmp_path):
    bad = archive({"../../outside": b"x", "mini_set/imgs/0.jpg": b"x"})
    web[1]["images.zip"].body = bad
    card = card_of(web[0], sources=[{"address": f"{web[0]}images.zip"}])
    with pytest.raises(HarnessError, match="leads out of its folder"):
        fetch(card, tmp_path / "root", patience=QUICK)
    assert not (tmp_path / "root" / "mini_set").exists()
    assert not (tmp_path / "outside").exists()


def test_what_is_there_is_never_replaced(web, tmp_path):
    (tmp_path / "mini_set" / "imgs").mkdir(parents=True)
    (tmp_path / "mini_set" / "imgs" / "0.jpg").write_bytes(IMAGES["0.jpg"])
    (tmp_path / "mini_set" / "imgs" / "1.jpg").write_bytes(b"mine")
    card = card_of(web[0])
    with pytest.raises(HarnessError, match=r"1\.jpg is there already, with another content than that in images\.zip"):
        fetch(card, tmp_path, patience=QUICK)
    assert tree(tmp_path / "mini_set") == ["imgs/0.jpg", "imgs/1.jpg"]
    (tmp_path / "mini_set" / "imgs" / "1.jpg").unlink()
    fetch(card, tmp_path, patience=QUICK)
    assert tree(tmp_path) == WHOLE


def test_a_source_for_people_is_named_with_its_place_and_taken_from_there(web, tmp_path, registry):
    card = card_of(web[0], sources=page(web[0]))
    steps = fetch(card, tmp_path, patience=QUICK)
    assert [step.state for step in steps] == ["fetch", "by hand"]
    place = tmp_path / "mini_set" / "dataset.json"
    assert steps[1].advice == (
        f"dataset.json: get it by hand from https://drive.example/x (log in first), put it at {place}, and fetch again"
    )
    place.write_bytes(ANNOTATION)
    assert check(registry, card, tmp_path) == []
    assert [step.state for step in plan(card, tmp_path)] == ["there", "there"]


def test_a_page_that_gives_several_files_is_named_with_their_folder(tmp_path):
    card = card_of("", sources=[{"address": "https://x.example/set", "kind": "page", "remark": "two links"}])
    (step,) = fetch(card, tmp_path)
    assert step.advice == (
        f"get its files by hand from https://x.example/set (two links), and put them into {tmp_path / 'mini_set'}"
    )


def test_an_archive_that_was_brought_by_hand_is_unpacked(tmp_path):
    card = card_of("https://drive.example/", sources=[{"address": "https://x.example/images.zip", "kind": "page"}])
    (tmp_path / "images.zip").write_bytes(ZIP)
    fetch(card, tmp_path)
    assert (tmp_path / "mini_set" / "imgs" / "3.jpg").read_bytes() == IMAGES["3.jpg"]
    assert (tmp_path / "images.zip").exists()


def test_a_killed_fetch_leaves_no_half_set_and_is_continued(tmp_path):
    slow = Served(ZIP, stalls=[0.002])
    with serving({"images.zip": slow, "dataset.json?download=1": Served(ANNOTATION)}) as address:
        card = card_of(address)
        program = (
            "import sys; from pathlib import Path; from harness.data.cards import DatasetCard\n"
            "from harness.data.sets.fetch import fetch\n"
            "fetch(DatasetCard.model_validate_json(sys.argv[1]), Path(sys.argv[2]))"
        )
        process = subprocess.Popen([sys.executable, "-c", program, card.model_dump_json(), str(tmp_path)])
        part = tmp_path / ".fetch-mini" / "images.zip.part"
        deadline = time.monotonic() + 60
        while not (part.is_file() and part.stat().st_size > 300) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "mini_set").exists()
        fetch(card, tmp_path, patience=QUICK)
        assert slow.answered == [200, 206]
    assert tree(tmp_path) == WHOLE


def test_a_truncated_archive_is_not_kept_and_fetched_again(web, tmp_path):
    """Without Content-Length and checksum nothing else tells that it was cut."""
    card = card_of(web[0], sources=[{"address": f"{web[0]}images.zip"}, card_of(web[0]).sources[1].model_dump()])
    web[1]["images.zip"].length, web[1]["images.zip"].cuts = 0, [1000, len(ZIP)]
    with pytest.raises(HarnessError, match=r"images\.zip"):
        fetch(card, tmp_path, patience=QUICK)
    assert tree(tmp_path) == []
    fetch(card, tmp_path, patience=QUICK)
    assert tree(tmp_path) == WHOLE


def test_a_truncated_archive_of_an_earlier_version_is_fetched_anew_at_once(web, tmp_path):
    card = card_of(web[0], sources=[{"address": f"{web[0]}images.zip"}, card_of(web[0]).sources[1].model_dump()])
    (tmp_path / ".fetch-mini").mkdir()
    (tmp_path / ".fetch-mini" / "images.zip").write_bytes(ZIP[:1000])
    fetch(card, tmp_path, patience=QUICK)
    assert tree(tmp_path) == WHOLE


def test_an_archive_that_was_brought_by_hand_and_is_damaged_stays(tmp_path):
    card = card_of("", sources=[{"address": "https://x.example/images.zip", "kind": "page"}])
    (tmp_path / "images.zip").write_bytes(ZIP[:1000])
    with pytest.raises(HarnessError, match=r"images\.zip"):
        fetch(card, tmp_path)
    assert (tmp_path / "images.zip").read_bytes() == ZIP[:1000]


def test_what_an_earlier_card_left_unfinished_is_not_taken_for_another_file(web, tmp_path):
    (tmp_path / ".fetch-mini").mkdir()
    (tmp_path / ".fetch-mini" / "images.zip").write_bytes(archive({"mini_set/imgs/0.jpg": b"of another card"}))
    fetch(card_of(web[0]), tmp_path, patience=QUICK)
    assert tree(tmp_path) == WHOLE
    assert (tmp_path / "mini_set" / "imgs" / "0.jpg").read_bytes() == IMAGES["0.jpg"]


def test_what_an_earlier_card_unpacked_is_not_taken_for_another_source(web, tmp_path):
    """A file of the user's stood in the way; meanwhile the card names another archive."""
    web[1]["other.zip"] = Served(archive({"mini_set/imgs/0.jpg": b"of another card", "mini_set/x": b"x"}))
    (tmp_path / "mini_set").mkdir()
    (tmp_path / "mini_set" / "x").write_bytes(b"mine")
    with pytest.raises(HarnessError, match="is there already"):
        fetch(card_of(web[0], sources=[{"address": f"{web[0]}other.zip"}]), tmp_path, patience=QUICK)
    fetch(card_of(web[0]), tmp_path, patience=QUICK)
    assert tree(tmp_path) == sorted([*WHOLE, "mini_set/x"])
    assert (tmp_path / "mini_set" / "imgs" / "0.jpg").read_bytes() == IMAGES["0.jpg"]


def test_a_file_that_was_brought_by_hand_is_compared_with_the_card(tmp_path):
    source = {"address": "https://x.example/images.zip", "kind": "page", "sha256": hashlib.sha256(ZIP).hexdigest()}
    (tmp_path / "images.zip").write_bytes(archive({"mini_set/imgs/0.jpg": b"another"}))
    with pytest.raises(HarnessError, match=r"images\.zip: its sha256 is .*; remove it, or put what it holds into"):
        fetch(card_of("", sources=[source]), tmp_path)
    (tmp_path / "images.zip").write_bytes(ZIP)
    fetch(card_of("", sources=[source]), tmp_path)
    assert (tmp_path / "mini_set" / "imgs" / "0.jpg").read_bytes() == IMAGES["0.jpg"]


def test_an_archive_that_a_full_disk_does_not_take_is_kept(web, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patched:
        patched.setattr(
            "shutil.disk_usage", lambda path: usage(1, 1, 10 if path.name.startswith("unpacking") else 1 << 40)
        )
        with pytest.raises(HarnessError, match="more than the disk has free"):
            fetch(card_of(web[0]), tmp_path, patience=QUICK)
    fetch(card_of(web[0]), tmp_path, patience=QUICK)
    assert len(web[1]["images.zip"].asked) == 1


def test_a_mark_in_an_archive_is_not_believed(web, tmp_path):
    """It would say that sources are there which never were."""
    mark = json.dumps([f"{web[0]}dataset.json?download=1 {hashlib.sha256(ANNOTATION).hexdigest()} "]).encode()
    files = {f"imgs/{name}": content for name, content in IMAGES.items()}
    web[1]["images.zip"].body = archive({**files, MARK: mark, MARK.upper(): mark, "imgs/" + MARK: mark})
    card = card_of(web[0], sources=[{"address": f"{web[0]}images.zip"}, card_of(web[0]).sources[1].model_dump()])
    web[1]["dataset.json?download=1"].statuses = [404]
    with pytest.raises(HarnessError, match="404"):
        fetch(card, tmp_path, patience=QUICK)
    assert [step.state for step in plan(card, tmp_path)] == ["there", "fetch"]
    fetch(card, tmp_path, patience=QUICK)
    assert tree(tmp_path) == WHOLE


def test_a_file_that_was_fetched_and_removed_is_fetched_again(web, tmp_path):
    card = card_of(web[0])
    fetch(card, tmp_path, patience=QUICK)
    (tmp_path / "mini_set" / "dataset.json").unlink()
    assert [step.state for step in plan(card, tmp_path)] == ["there", "fetch"]


# --- check ---


@pytest.fixture
def mini(tmp_path):
    folder = tmp_path / "mini_set"
    (folder / "imgs").mkdir(parents=True)
    (folder / "dataset.json").write_bytes(ANNOTATION)
    for name, content in IMAGES.items():
        (folder / "imgs" / name).write_bytes(content)
    return folder


def found(registry, mini, deep=False, **changed):
    return [(finding.kind, finding.text) for finding in check(registry, card_of("", **changed), mini.parent, deep=deep)]


def test_a_missing_folder_says_where_it_belongs(registry, tmp_path):
    ((kind, text),) = found(registry, tmp_path / "mini_set")
    assert (kind, text) == (
        "missing",
        f"the folder mini_set is missing below {tmp_path}; it holds dataset.json, imgs/ (12 files)",
    )


def test_missing_images_are_all_named(registry, mini):
    for name in ("3.jpg", "7.jpg"):
        (mini / "imgs" / name).unlink()
    (finding,) = [one for one in check(registry, card_of(""), mini.parent) if one.files]
    assert finding.files == (str(mini / "imgs" / "3.jpg"), str(mini / "imgs" / "7.jpg"))
    assert finding.kind == "missing"
    assert finding.text == f"2 of 12 images are missing: {mini / 'imgs' / '3.jpg'}, {mini / 'imgs' / '7.jpg'}"


FAULTS = {
    "no annotation": (lambda mini: (mini / "dataset.json").unlink(), "missing", "the file dataset.json is missing in"),
    "no images": (lambda mini: (mini / "imgs").rename(mini / "pictures"), "missing", "the folder imgs is missing in"),
    "too few": (lambda mini: (mini / "imgs" / "1.jpg").unlink(), "missing", "holds 11 files, expected 12"),
    "broken JSON": (lambda mini: (mini / "dataset.json").write_text("{"), "wrong", "cannot be read as JSON"),
    "wrong encoding": (lambda mini: (mini / "dataset.json").write_bytes(b'"\xff"'), "wrong", "no text in UTF-8"),
    "edited": (lambda mini: (mini / "dataset.json").write_bytes(ANNOTATION + b" "), "wrong", "not the published file"),
    "empty": (lambda mini: (mini / "dataset.json").write_bytes(b""), "wrong", "is empty (0 bytes)"),
    "empty image": (lambda mini: (mini / "imgs" / "5.jpg").write_bytes(b""), "damaged", "1 image (5.jpg) is empty"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_found(registry, mini, fault):
    make, kind, text = FAULTS[fault]
    assert found(registry, mini) == []
    make(mini)
    assert any(kind == one and text in said for one, said in found(registry, mini)), found(registry, mini)


def test_stray_images_are_mentioned_and_harm_nothing(registry, mini):
    (mini / "imgs" / "99.jpg").write_bytes(jpeg(99))
    (finding,) = check(registry, card_of(""), mini.parent)
    assert (finding.kind, finding.harmful) == ("stray", False)
    assert "99.jpg" in finding.text


def test_damaged_images_are_found_by_decoding_alone(registry, mini):
    path = mini / "imgs" / "5.jpg"
    path.write_bytes(IMAGES["5.jpg"][:200])
    assert found(registry, mini) == []
    ((kind, text),) = found(registry, mini, deep=True)
    assert kind == "damaged"
    assert "5.jpg" in text


def test_the_layout_of_which_most_is_there_counts(registry, mini):
    layout = {
        "folder": "mini_set",
        "annotations": "dataset.json",
        "images": "imgs",
        "files": [
            {"path": "dataset.json"},
            {"path": "imgs/*.jpg", "count": N, "layout": "files"},
            {"path": "features.mat", "layout": "features"},
            {"path": "extra.txt", "optional": True},
        ],
    }
    assert found(registry, mini, layout=layout) == []
    for number in range(3):
        (mini / "imgs" / f"{number}.jpg").unlink()
    texts = [text for _, text in found(registry, mini, layout=layout)]
    assert any("imgs/*.jpg: 9 found" in text for text in texts)
