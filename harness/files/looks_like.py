"""What a file looks like that is not what was expected: a web page, a Git LFS pointer, an archive, nothing at all."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = 4096
"""Bytes at the beginning of a file that are looked at."""

CUT = "its end is missing, so that it was not written, copied or downloaded whole"
"""What is said of a file that begins as it should and cannot be read."""

HDF5 = b"\x89HDF\r\n\x1a\n"

SIGNATURES = (
    ("gzip", b"\x1f\x8b", "gzip-compressed: unpack it first"),
    ("zip", b"PK\x03\x04", "a zip archive (so is an npz file): unpack it first"),
    ("zip", b"PK\x05\x06", "an empty zip archive"),
    ("rar", b"Rar!\x1a\x07", "a RAR archive: unpack it first"),
    ("7z", b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    ("bzip2", b"BZh", "bzip2-compressed: unpack it first"),
    ("xz", b"\xfd7zXZ\x00", "xz-compressed: unpack it first"),
    ("matlab", b"MATLAB ", "a MATLAB file"),
    ("npy", b"\x93NUMPY", "a single NumPy array (npy)"),
    *(
        ("pickle", bytes((0x80, version)), "a Python pickle, which may run any code and is never read")
        for version in (2, 3, 4, 5)
    ),
    ("pdf", b"%PDF-", "a PDF document"),
    ("jpeg", b"\xff\xd8\xff", "a JPEG image"),
    ("png", b"\x89PNG\r\n\x1a\n", "a PNG image"),
)
"""Kind, first bytes, and what is said of it."""


def looks_like(path: Path, *own: str) -> str:
    """What a file looks like, in words that go on after "it is".

    Args:
        path: The file.
        own: Kinds that the file was expected to be, of which nothing is said: "text", "zip" (npz too), "gzip",
            "matlab", "hdf5", "npy", ... as in ``SIGNATURES``.

    Returns:
        "a Git LFS pointer, ...", "a web page (HTML) ...", "empty (0 bytes)" and the like, with what to do; "" where it
        is one of ``own``, cannot be told or read, or is no regular file.
    """
    try:
        if not path.is_file():  # to open a pipe would wait for ever
            return ""
        with path.open("rb") as opened:
            head = opened.read(HEAD)
    except OSError:
        return ""
    kind, words = kind_of(head)
    return "" if kind in own else words


def why_unreadable(path: Path, error: BaseException, *own: str) -> str:
    """Why a file could not be read: what it is instead, or else what its library said, in one line.

    Args:
        path: The file.
        error: What the library raised.
        own: As in :func:`looks_like`.
    """
    words = looks_like(path, *own)
    return f"it is {words}" if words else " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


def kind_of(beginning: bytes) -> tuple[str, str]:
    """The kind of a file by its first bytes, of which :data:`HEAD` are looked at, and what is said of it.

    Returns:
        Such as ("html", "a web page (HTML): ..."); ("", "") where it cannot be told.
    """
    head = beginning[:HEAD]
    if not head:
        return "empty", "empty (0 bytes)"
    if any(head[at:].startswith(HDF5) for at in (0, 512, 1024, 2048)):  # MATLAB writes 512 bytes before it
        return "hdf5", "an HDF5 file (so is a MATLAB file of version 7.3)"
    for kind, signature, words in SIGNATURES:
        if head.startswith(signature):
            return kind, words
    if not head.strip(b"\0"):
        return "zeros", "nothing but zeros at its beginning: it was not written or downloaded to the end"
    text = head.decode("utf-8-sig", "ignore")
    if text.startswith("version https://git-lfs.github.com/"):
        size = re.search(r"^size (\d{1,18})$", text, re.MULTILINE)
        of = f" of {int(size[1]):,} bytes" if size else ""
        return "lfs", f"a Git LFS pointer, which stands for a file{of}: get that with `git lfs pull` or by hand"
    bare = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).lstrip()
    if re.match(r"<(!doctype html|html|head|body)\b", bare, re.IGNORECASE):
        title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
        shown = _shown(title[1] if title else re.sub(r"<[^>]*>", " ", bare))
        return "html", f"a web page (HTML{f', {shown!r}' if shown else ''}): download the file itself"
    if "\0" in text or len(text.encode()) < len(head) - 6:  # a character may be cut, and a mark at the beginning
        return "", ""
    return "text", f"text that begins with {_shown(text)!r}"


def _shown(text: str) -> str:
    """The beginning of a text in one line."""
    words = " ".join(text[:400].split())
    return words[:40] + ("..." if len(words) > 40 else "")
