"""Downloads: whole and right, or one sentence."""

from __future__ import annotations

import hashlib
import random

import pytest
from data.faulty_server import Served, serving

from harness.data.sets.download import Patience, download
from harness.errors import HarnessError

BODY = random.Random(0).randbytes(300_000)
SHA = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(tries=3, timeout=1.0, pause=0.01, longest_pause=0.05)


@pytest.fixture
def get(tmp_path):
    """Serve one file, download it, and give what there is then."""

    def run(served: Served, name="file.bin", **options):
        with serving({"file": served}) as address:
            options.setdefault("patience", QUICK)
            download(address + "file", tmp_path / "new" / name, **options)
        return (tmp_path / "new" / name).read_bytes()

    return run


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "new").iterdir())


def test_a_file_arrives_and_nothing_else_is_left(get, tmp_path):
    seen = []
    assert get(Served(BODY), sha256=SHA, size=len(BODY), watch=lambda done, total: seen.append((done, total))) == BODY
    assert left(tmp_path) == ["file.bin"]
    assert seen[-1] == (len(BODY), len(BODY))


def test_a_cut_connection_goes_on_where_it_was_cut(get):
    served = Served(BODY, cuts=[100_000, 50_000])
    assert get(served, sha256=SHA) == BODY
    assert [request.get("range") for request in served.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert served.asked[1]["if-range"] == '"one"'
    assert served.answered == [200, 206, 206]


def test_an_interrupted_download_goes_on_in_the_next_process(tmp_path):
    served, target = Served(BODY, cuts=[100_000, 0, 0]), tmp_path / "new" / "file.bin"
    with serving({"file": served}) as address:
        with pytest.raises(HarnessError, match=r"cut after 100000 of 300000 bytes, 3 times in a row.*goes on from"):
            download(address + "file", target, patience=QUICK)
        assert left(tmp_path) == ["file.bin.part", "file.bin.part.json"]
        download(address + "file", target, patience=QUICK)
    assert target.read_bytes() == BODY
    assert served.answered == [200, 206, 206, 206]


def test_a_file_that_changed_meanwhile_begins_anew(get):
    other = BODY[::-1]
    served = Served(BODY, cuts=[100_000])

    def change():
        served.body, served.etag = other, '"two"'

    served.change = change
    assert get(served) == other
    assert served.answered == [200, 200]


def test_without_etag_halves_are_joined_only_if_the_hash_can_tell(get):
    served = Served(BODY, etag="", cuts=[100_000])
    assert get(served) == BODY
    assert "range" not in served.asked[1]
    served = Served(BODY, etag="", cuts=[100_000])
    assert get(served, name="other.bin", sha256=SHA) == BODY
    assert served.asked[1]["range"] == "bytes=100000-"


def test_halves_of_two_versions_are_noticed_by_the_hash_and_fetched_anew(get):
    served = Served(b"x" * 300_000, etag="", cuts=[100_000])

    def change():
        served.body = BODY

    served.change = change
    assert get(served, sha256=SHA) == BODY
    assert served.answered == [200, 206, 200]


def test_a_server_without_ranges_sends_the_whole_file_again(get):
    served = Served(BODY, cuts=[100_000], ranges=False)
    assert get(served, sha256=SHA) == BODY
    assert served.answered == [200, 200]


def test_a_part_that_is_whole_already_is_taken(get, tmp_path):
    served = Served(BODY)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file.bin.part").write_bytes(BODY)
    assert get(served, sha256=SHA) == BODY  # 416: there is nothing behind it


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_server_in_trouble_is_asked_again(get, status):
    served = Served(BODY, statuses=[status, status])
    assert get(served) == BODY
    assert served.answered == [status, status, 200]


@pytest.mark.parametrize(
    ("served", "options", "sentence"),
    [
        (Served(BODY, statuses=[404]), {}, r"answers 404 \(Not Found\): the file is not there any more"),
        (Served(BODY, statuses=[403]), {}, r"answers 403 \(Forbidden\)"),
        (Served(BODY, statuses=[500] * 3), {}, r"answers 500 \(Internal Server Error\), 3 times in a row"),
        (Served(BODY), {"sha256": "0" * 64}, r"its sha256 is [0-9a-f]{64}, and the card says 0000"),
        (Served(BODY), {"size": 7}, "the server has 300000 bytes, the card says 7"),
        (Served(BODY, length=0), {"size": 7}, "sends more than the 7 bytes"),
        (Served(BODY, length=0), {"most": 1000}, "sends more than 1000 bytes, and the card does not say so"),
        (Served(BODY), {"most": 1000}, "sends more than 1000 bytes, and the card does not say so"),
        (Served(BODY, length=0), {"size": 300_001}, "300000 bytes arrived, and the card says 300001"),
        (Served(b"<p>", kind="text/html; charset=utf-8"), {}, "an HTML page in place of file.bin"),
        (Served(b"\n<!DOCTYPE html><html>"), {}, "an HTML page in place of file.bin"),
        (Served(to="/file"), {}, "from one address to the next without end"),
        (Served(to="ftp://x/y"), {}, "no address that can be fetched"),
        (Served(BODY[:9], stalls=[9.0] * 3), {}, "nothing came for 0.3 seconds, 3 times"),
        (Served(BODY[:99], stalls=[0.05] * 3), {}, r"only \d+ bytes came in"),
    ],
    ids=lambda value: None,
)
def test_what_goes_wrong_is_one_sentence_and_leaves_no_file(get, tmp_path, served, options, sentence):
    patience = Patience(tries=3, timeout=0.3, pause=0.01)
    with pytest.raises(HarnessError, match=sentence) as caught:
        get(served, patience=patience, **options)
    assert str(caught.value).startswith("http://127.0.0.1")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new" / "file.bin").exists()


def test_the_size_that_a_card_says_overrides_the_limit(get):
    assert get(Served(BODY, length=0), size=len(BODY), most=1000) == BODY


@pytest.mark.parametrize("text", ["\xb2", "9" * 5000, "-1", "1e3", ""])
def test_numbers_of_headers_that_are_none(text):
    from harness.data.sets.download import _number

    assert _number(text) is None


def test_a_redirect_is_followed(get, tmp_path):
    with serving({"a": Served(to="/b"), "b": Served(BODY)}) as address:
        download(address + "a", tmp_path / "f", sha256=SHA, patience=QUICK)
    assert (tmp_path / "f").read_bytes() == BODY


def test_nobody_answers(tmp_path):
    with serving({}) as address:
        pass
    with pytest.raises(HarnessError, match=r"no connection \(.*refused.*\), 3 times in a row"):
        download(address + "file", tmp_path / "f", patience=QUICK)


@pytest.mark.parametrize("address", ["nonsense", "file:///etc/passwd", "http://", ""])
def test_what_is_no_address(tmp_path, address):
    with pytest.raises(HarnessError, match="no address that can be fetched"):
        download(address, tmp_path / "f", patience=QUICK)


def test_a_disk_without_room_is_named_before_anything_is_written(get, monkeypatch, tmp_path):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("harness.data.sets.download.shutil.disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(HarnessError, match=r"it needs 300000 bytes .* and 1000 are free"):
        get(Served(BODY))
    assert left(tmp_path) == []
