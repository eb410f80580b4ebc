"""A small web server for one network: a page to drop a picture on, and a JSON endpoint. It needs neither torch nor a framework.

    GET  /          the page
    GET  /model     the facts of the network
    POST /predict   the body is one image file; the answer has its guesses: {"guesses": [{"name": ..., "probability": ...}]}

What a client sends is bounded: bytes before they are read, pixels before they are decoded, time, connections, and images in work.
Every answer closes its connection, so no idle client holds a thread.
"""

from __future__ import annotations

import io
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import numpy as np

import adarts
from adarts.data.decode import Unreadable
from adarts.errors import ConfigError
from adarts.export.loaded import Model
from adarts.export.predict import guesses, pixels_of
from adarts.export.templates import ENVIRONMENT

TOP = 5
"""Classes in an answer."""

_GONE = ConnectionError, TimeoutError
"""What a client causes that goes away or takes too long."""

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Limits:
    """What a client may ask for.

    Attributes:
        bytes: size of an image file.
        pixels: width times height of an image.
        seconds: time to send a whole request.
        connections: at the same time; more are sent away with status 503.
        in_work: images that are decoded and classified at the same time; more wait.
    """

    bytes: int = 16 * 2**20
    pixels: int = 40_000_000
    seconds: float = 20.0
    connections: int = 32
    in_work: int = os.cpu_count() or 1


class Refused(Exception):
    """A request that is not answered: the status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Server(ThreadingHTTPServer):
    """Serves a network.

    Args:
        model: the network.
        host: address to listen at.
        port: its port; 0 takes any free one.
        limits: what a client may ask for.

    Raises:
        ConfigError: the address cannot be used.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, model: Model, host: str = "127.0.0.1", port: int = 8000, limits: Limits | None = None) -> None:
        self.model, self.limits = model, limits or Limits()
        self.page = (
            ENVIRONMENT.get_template("page.html").render(facts=model.facts, limits=self.limits, top=TOP).encode()
        )
        self._connections = threading.BoundedSemaphore(self.limits.connections)
        self._in_work = threading.BoundedSemaphore(self.limits.in_work)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cannot listen at {host}, port {port}: {error}; choose another --port or --host"
            ) from error

    def server_bind(self) -> None:
        """Bind without a lookup of the machine's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @property
    def url(self) -> str:
        """The address of the page."""
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}"

    def classify(self, image: bytes) -> list[dict[str, Any]]:
        """The most probable classes of an image file.

        Raises:
            Unreadable: it is broken, or too large.
        """
        with self._in_work:
            pixels_chw = pixels_of(io.BytesIO(image), self.model.facts, self.limits.pixels)
            (best,) = guesses(self.model, np.ascontiguousarray(pixels_chw[None]), TOP)
        return [asdict(guess) for guess in best]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or send it away if there are too many."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(*_GONE):
            request.settimeout(1)
            request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            with suppress(*_GONE):
                super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Raise the error on, to :meth:`process_request_thread`."""
        raise


class _Until(io.RawIOBase):
    """Reads from a connection until a time of the monotonic clock; a client that sends byte by byte gets no longer."""

    def __init__(self, connection: socket.socket, end: Callable[[], float]) -> None:
        self._connection, self._end = connection, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end() - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = f"adarts/{adarts.__version__}", ""
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.limits.seconds)
        self._end = time.monotonic() + self.server.limits.seconds
        self.rfile = io.BufferedReader(_Until(self.connection, lambda: self._end))

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/":
            self._answer(200, self.server.page, "text/html; charset=utf-8")
        elif path == "/model":
            self._answer_json(200, self.server.model.facts.to_dict())
        else:
            self._answer_json(404, {"error": "there are / and /model to read, and /predict to send an image to"})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        try:
            if urlsplit(self.path).path != "/predict":
                raise Refused(404, "images are sent to /predict")
            self._answer_json(200, {"guesses": self.server.classify(self._body())})
        except Refused as refused:
            self._answer_json(refused.status, {"error": str(refused)})
            self._drain()
        except Unreadable as error:
            form = self.headers.get_content_maintype() == "multipart"
            hint = "; send the file itself as the body, as curl --data-binary @FILE does, not a form" if form else ""
            self._answer_json(400, {"error": f"{error}{hint}"})
        except _GONE:
            raise
        except Exception:
            self._answer_json(500, {"error": "the network failed"})
            raise  # the terminal shows it

    def _body(self) -> bytes:
        """The body of the request, which must say its length first."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or "Transfer-Encoding" in self.headers:
            raise Refused(411, "the request must say the length of its body")
        most = self.server.limits.bytes
        if len(length) > 15 or int(length) > most:
            raise Refused(413, f"the image is larger than {most / 2**20:.3g} MB")
        parts, missing = [], int(length)
        while missing:
            part = self._received(missing)
            if not part:
                raise Refused(400, "the request ended before its image")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _received(self, most: int) -> bytes:
        """The next bytes of the client; none at its end. A client that takes too long is left."""
        return self.rfile.read1(min(most, 2**16))

    def _drain(self) -> None:
        """Read on for a moment, because a client that still sends would not read the answer."""
        self._end = min(self._end, time.monotonic() + 2)
        left = 4 * self.server.limits.bytes
        while left > 0 and (part := self._received(left)):
            left -= len(part)

    def _answer_json(self, status: int, content: dict[str, Any]) -> None:
        self._answer(status, json.dumps(content, ensure_ascii=False).encode(errors="replace"), "application/json")

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
            self.wfile.flush()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)  # a client that still sends sees the end of the answer
