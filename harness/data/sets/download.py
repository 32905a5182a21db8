"""Downloading one file: goes on where it was cut, and is only there under its name when it is whole and right."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.files.json_text import read_json
from harness.files.looks_like import kind_of

if TYPE_CHECKING:
    import requests

Watch = Callable[[int, int | None], None]
"""Called with the bytes that are there, and the bytes that there will be, where that is known."""

TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
"""HTTP answers after which the same question may be answered."""

PIECE = 1 << 16
"""Bytes taken from the network at a time."""

MOST = 1 << 36
"""Bytes of a file whose size the card does not say (64 GiB); the largest of the field, COCO's images, have 13 GB."""

WORTH = 1 << 20
"""Bytes that a try must bring to count as no failure."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server.

    Attributes:
        tries: Tries in a row that bring next to nothing before it is given up.
        timeout: Seconds without an answer, or without a byte.
        slowest: Bytes per second, over ``timeout`` seconds, below which a connection counts as stalled.
        pause: Seconds before the second try; doubled for each further one.
        longest_pause: Seconds at most, also where the server asks for more.
    """

    tries: int = 5
    timeout: float = 30.0
    slowest: float = 256.0
    pause: float = 1.0
    longest_pause: float = 60.0


class _AgainError(Exception):
    """Something that may pass: worth another try."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


def ignore_bytes(done: int, total: int | None) -> None:
    """A watcher that does nothing."""


def download(
    address: str,
    target: Path,
    *,
    size: int | None = None,
    sha256: str = "",
    patience: Patience | None = None,
    watch: Watch = ignore_bytes,
    most: int = MOST,
) -> None:
    """Download a file.

    What has arrived lies in ``TARGET.part`` until it is whole; an interrupted download goes on from there (HTTP Range
    with If-Range, so that a file that changed meanwhile begins anew).

    Args:
        address: http or https.
        target: The file to write; its folder is made.
        size: Bytes, where known.
        sha256: Of the file, where known.
        patience: How long to wait.
        watch: Progress.
        most: Bytes that a file of unknown size may have.

    Raises:
        HarnessError: It cannot be had; one sentence says why, and what to do.
    """
    import requests

    patience = patience or Patience()
    part = _Part(target, address)
    with suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
    failures, from_scratch = 0, False
    with requests.Session() as session:
        while True:
            before = part.size
            try:
                _fetch_rest(session, address, part, size, most, sha256, patience, watch)
            except _AgainError as again:
                failures = 1 if part.size - before >= WORTH else failures + 1
                if failures >= patience.tries:
                    kept = " (what has arrived is kept: the same command goes on from there)" if part.size else ""
                    raise HarnessError(f"{address}: {again}, {failures} times in a row; try later{kept}.") from again
                pause = again.pause if again.pause is not None else patience.pause * 2 ** (failures - 1)
                time.sleep(min(pause, patience.longest_pause))
                continue
            wrong = what_is_wrong(part.path, target.name, size, sha256)
            if not wrong:
                break
            resumed = part.resumed
            part.discard()
            if not resumed or from_scratch:
                raise HarnessError(f"{address}: {wrong}; it was not kept.")
            from_scratch = True  # the two halves may be of two versions
    part.finish()


class _Part:
    """The file while it arrives, and a note of which version of it that is."""

    def __init__(self, target: Path, address: str) -> None:
        self.target, self.address = target, address
        self.path = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")
        self.resumed = self.size > 0

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @property
    def validator(self) -> str:
        """The ETag or date of the version that has begun to arrive; "" if the server gave none."""
        try:
            noted = read_json(self.note)
            return str(noted["validator"]) if noted["address"] == self.address else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def begin(self, validator: str) -> None:
        """Note the version, before its first byte."""
        self.note.write_text(json.dumps({"address": self.address, "validator": validator}), encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.resumed = False

    def finish(self) -> None:
        self.path.replace(self.target)
        self.note.unlink(missing_ok=True)


def _fetch_rest(
    session: requests.Session,
    address: str,
    part: _Part,
    size: int | None,
    most: int,
    sha256: str,
    patience: Patience,
    watch: Watch,
) -> None:
    """Ask for what is missing and append it.

    Raises:
        _AgainError: It may work the next time.
        HarnessError: It will not.
    """
    if part.size and not (part.validator or sha256):
        part.discard()  # nothing would tell whether the two halves belong together
    have = part.size
    if have and have == size and sha256:
        return
    response = _ask(session, address, have, part.validator, patience)
    with response:
        total = _check_answer(response, address, part, have, size, most)
        if total is not None and total == have:
            return
        resuming = response.status_code == HTTPStatus.PARTIAL_CONTENT
        if not resuming:
            part.discard()
            have = 0
        else:
            part.resumed = True
        try:
            free = shutil.disk_usage(part.path.parent).free
            if total is not None and total - have > free:
                raise HarnessError(
                    f"{address}: it needs {total - have} bytes below {part.path.parent}, and {free} are free."
                )
            if not resuming:
                part.begin(_validator(response))
            _receive(response, part, have, total, size, most, patience, watch)
        except OSError as error:
            raise HarnessError(f"{part.path} cannot be written: {error.strerror or error}.") from error
    if total is not None and part.size < total:
        raise _AgainError(f"the connection was cut after {part.size} of {total} bytes")


def _ask(session: requests.Session, address: str, have: int, validator: str, patience: Patience) -> requests.Response:
    import requests

    from harness.version import __version__

    # Compression on the way would be undone by the library, and neither sizes nor ranges would fit the file.
    headers = {"Accept-Encoding": "identity", "User-Agent": f"noisy-hashing-harness/{__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    try:
        return session.get(address, headers=headers, stream=True, timeout=patience.timeout)
    except requests.exceptions.SSLError as error:
        raise HarnessError(f"{address}: the server's certificate is not accepted ({_short(error)}).") from error
    except requests.exceptions.Timeout as error:
        raise _AgainError(f"no answer within {patience.timeout:g} seconds") from error
    except requests.exceptions.TooManyRedirects as error:
        raise HarnessError(f"{address}: the server sends from one address to the next without end.") from error
    except requests.exceptions.ConnectionError as error:
        raise _AgainError(f"no connection ({_short(error)})") from error
    except (requests.exceptions.RequestException, ValueError) as error:
        raise HarnessError(f"{address}: this is no address that can be fetched ({_short(error)}).") from error


def _check_answer(
    response: requests.Response, address: str, part: _Part, have: int, size: int | None, most: int
) -> int | None:
    """The size of the whole file, where the server says it."""
    status = response.status_code
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        whole = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        if whole and _number(whole[1]) == have:
            return have
        part.discard()
        raise _AgainError("the file is shorter than what had arrived of it", pause=0.0)
    if status in TEMPORARY:
        asked = _number(response.headers.get("Retry-After", ""))
        raise _AgainError(f"the server answers {_status(status)}", None if asked is None else float(asked))
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        gone = status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
        raise HarnessError(
            f"{address}: the server answers {_status(status)}"
            + (": the file is not there any more; see the data set's own page." if gone else ".")
        )
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and part.target.suffix not in (".html", ".htm"):
        raise HarnessError(_is_a_page(address, part.target.name))
    total: int | None = None
    if status == HTTPStatus.PARTIAL_CONTENT:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not span or _number(span[1]) != have:
            part.discard()
            raise _AgainError("the server sends another piece than was asked for", pause=0.0)
        total = _number(span[2])
    else:
        total = _number(response.headers.get("Content-Length", ""))
    if total is not None and size is not None and total != size:
        raise HarnessError(
            f"{address}: the server has {total} bytes, the card says {size}: it is another version of the file."
        )
    if total is not None and size is None and total > most:
        raise HarnessError(_too_large(address, most))
    return total


def _number(text: str) -> int | None:
    """A number of a header; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _too_large(address: str, most: int) -> str:
    return f"{address}: the server sends more than {most} bytes, and the card does not say so: give 'size' in the card."


def _receive(
    response: requests.Response,
    part: _Part,
    have: int,
    total: int | None,
    size: int | None,
    most: int,
    patience: Patience,
    watch: Watch,
) -> None:
    """Append what comes."""
    import urllib3

    started, at_start = time.monotonic(), have
    with part.path.open("ab", buffering=0) as opened:  # what has arrived survives a kill
        while True:
            try:
                piece = response.raw.read1(PIECE, decode_content=False)
            except urllib3.exceptions.ReadTimeoutError as error:
                raise _AgainError(f"nothing came for {patience.timeout:g} seconds") from error
            except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
                at = f"{have} of {total}" if total else str(have)
                raise _AgainError(f"the connection was cut after {at} bytes") from error
            if not piece:
                return
            if have == 0 and kind_of(piece)[0] == "html" and part.target.suffix not in (".html", ".htm"):
                raise HarnessError(_is_a_page(part.address, part.target.name))
            opened.write(piece)
            have += len(piece)
            if have > (most if size is None else size):
                opened.close()
                part.discard()
                if size is None:
                    raise HarnessError(_too_large(part.address, most))
                raise HarnessError(f"{part.address}: the server sends more than the {size} bytes that the card says.")
            watch(have, total or size)
            now = time.monotonic()
            if now - started >= patience.timeout:
                if have - at_start < patience.slowest * (now - started):
                    raise _AgainError(f"only {have - at_start} bytes came in {now - started:.0f} seconds")
                started, at_start = now, have


def what_is_wrong(file: Path, name: str, size: int | None, sha256: str) -> str:
    """Why a file is not the one that was meant; "" if it is.

    Args:
        file: The file.
        name: What it is called when it is whole.
        size: Bytes, where known.
        sha256: Of the file, where known.

    Raises:
        OSError: It cannot be read.
    """
    arrived = file.stat().st_size
    if size is not None and arrived != size:
        return f"{arrived} bytes arrived, and the card says {size}"
    with file.open("rb") as opened:
        beginning = opened.read(512)
        if kind_of(beginning)[0] == "html" and not name.endswith((".html", ".htm")):
            return _is_a_page("", name).removeprefix(": ").rstrip(".")
        if sha256:
            opened.seek(0)
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            if digest != sha256:
                return f"its sha256 is {digest}, and the card says {sha256}: it is another file, or was damaged"
    return ""


def _is_a_page(address: str, name: str) -> str:
    return (
        f"{address}: the server sends an HTML page in place of {name} (a login, a limit or a virus warning): open the "
        "address in a browser, and put the file where `harness data fetch --dry-run` says."
    )


def _validator(response: requests.Response) -> str:
    """What If-Range takes: a strong ETag, otherwise the date of the last change."""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return str(tag)
    return str(response.headers.get("Last-Modified", ""))


def _status(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def _short(error: Any) -> str:
    """The innermost reason, on one line."""
    while getattr(error, "args", None) and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    text = " ".join(str(reason or error).split())
    return re.sub(r"^<[^>]*>: |^.*?object at 0x[0-9a-f]+>: ", "", text).rstrip(".")[:150]
