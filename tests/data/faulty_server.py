"""A web server on this machine that misbehaves as told."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """A file, and what goes wrong with it.

    Attributes:
        body: Its bytes.
        etag: Its ETag, or "".
        kind: Content type.
        statuses: Answers before the first good one.
        cuts: For each good answer, after how many bytes it is cut; beyond the list it is whole.
        ranges: Whether pieces can be asked for.
        length: The Content-Length that is said, if it is not the true one; 0 says none.
        stalls: Seconds before each byte of the first answers, as many as there are.
        to: Where it redirects.
        change: Called after the first answer.
    """

    body: bytes = b""
    etag: str = '"one"'
    kind: str = "application/octet-stream"
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    length: int | None = None
    stalls: list[float] = field(default_factory=list)
    to: str = ""
    change: object = None
    asked: list[dict[str, str]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)


@contextmanager
def serving(files: dict[str, Served]) -> Iterator[str]:
    """The address of a server of these files, with "/" at its end."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            served = files.get(self.path.lstrip("/"))
            if served is None:
                self.send_error(404)
                return
            served.asked.append({key.lower(): value for key, value in self.headers.items()})
            if served.statuses:
                status = served.statuses.pop(0)
                served.answered.append(status)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if served.to:
                self.send_response(302)
                self.send_header("Location", served.to)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(served)

        def _send(self, served):
            body, start, status = served.body, 0, 200
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            fits = self.headers.get("If-Range", served.etag) == served.etag
            if wanted and served.ranges and fits:
                start, status = int(wanted[1]), 206
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
            served.answered.append(status)
            self.send_response(status)
            self.send_header("Content-Type", served.kind)
            if served.etag:
                self.send_header("ETag", served.etag)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            length = len(body) - start if served.length is None else served.length
            if length:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            rest = body[start:]
            if served.cuts:
                rest = rest[: served.cuts.pop(0)]
            stall = served.stalls.pop(0) if served.stalls else 0
            try:
                if stall:
                    for place in range(len(rest)):
                        time.sleep(stall)
                        self.wfile.write(rest[place : place + 1])
                else:
                    self.wfile.write(rest)
                self.wfile.flush()
            except OSError:  # the client has gone
                pass
            self.close_connection = True
            if callable(served.change):
                change, served.change = served.change, None
                change()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
