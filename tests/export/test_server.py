"""The server answers pictures, refuses what is hostile with a reason, and goes on."""

from __future__ import annotations

import http.client
import io
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adarts
from adarts.cli.main import main
from adarts.export.loaded import Model, load
from adarts.export.server import Limits, Server
from browser import CHROMIUM, Browser


@contextmanager
def serving(model: Model, **limits: float) -> Iterator[Server]:
    with Server(model, port=0, limits=Limits(**limits)) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server(onnx_file: Path) -> Iterator[Server]:
    with serving(load(onnx_file, 1), bytes=200_000, pixels=1_000_000, seconds=5) as running:
        yield running


def ask(server: Server, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def raw(server: Server, request: bytes) -> bytes:
    """The answer to bytes that are no proper request."""
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def image(width: int = 20, height: int = 20, **options: object) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that claims to have many pixels, and does."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_it_answers_as_predict(server: Server, onnx_file: Path, photos: Path) -> None:
    file = next(photos.rglob("*.jpg"))
    (expected,) = adarts.predict(onnx_file, file, top=5, threads=1)
    status, answer = ask(server, "POST", "/predict", file.read_bytes())
    assert status == 200
    assert [(one["name"], one["probability"]) for one in answer["guesses"]] == [
        (guess.name, pytest.approx(guess.probability, abs=1e-6)) for guess in expected.guesses
    ]


def test_it_tells_the_facts(server: Server) -> None:
    status, facts = ask(server, "GET", "/model")
    assert status == 200 and facts["classes"] == ["bird", "cat", "dog <b>"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"", {}, 400, "an empty file"),
        (b"no picture", {"Content-Type": "image/png"}, 400, "not an image"),
        (image()[:300], {}, 400, "(?i)truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", {}, 400, "not an image"),
        (bomb(5_000, 5_000), {}, 400, "a decompression bomb: 5000x5000 pixels"),
        (bomb(2_000_000, 8), {}, 400, "a decompression bomb"),
        (image(300, 300), {}, 413, "larger than 0.191 MB"),
        (
            b"--x\r\n\r\n" + image() + b"\r\n--x--",
            {"Content-Type": "multipart/form-data; boundary=x"},
            400,
            "not a form",
        ),
        (image(), {"Content-Length": "1000000000000000000000"}, 413, "larger than"),
        (image(), {"Content-Length": "-1"}, 411, "length"),
        (image(), {"Content-Length": "9" * 5000}, 413, "larger than"),
        (iter([image()]), {}, 411, "length"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict | int | str) else None,
)
def test_hostile_bodies(server: Server, body: object, headers: dict[str, str], status: int, reason: str) -> None:
    found, answer = ask(server, "POST", "/predict", body, **headers)
    assert found == status and re.search(reason, answer["error"])
    assert ask(server, "POST", "/predict", image())[0] == 200


def test_any_content_type_of_a_picture(server: Server) -> None:
    """The content decides, as programs send anything."""
    for kind in ("text/html", "application/x-www-form-urlencoded", "nonsense"):
        assert ask(server, "POST", "/predict", image(), **{"Content-Type": kind})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/../../etc/passwd", 404), ("GET", "/predict", 404), ("POST", "/", 404)]
)
def test_other_addresses(server: Server, method: str, path: str, status: int) -> None:
    assert ask(server, method, path)[0] == status


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x00\xff garbage\r\n\r\n", b"400"),
        (b"DELETE / HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc", b"400"),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
    ],
)
def test_broken_requests(server: Server, request_: bytes, status: bytes) -> None:
    assert status in raw(server, request_).split(b"\r\n")[0]
    assert ask(server, "POST", "/predict", image())[0] == 200


@pytest.mark.parametrize("kind", ["run", "onnx_file"])
def test_many_at_once(kind: str, photos: Path, request: pytest.FixtureRequest) -> None:
    """None is lost, and none gets the answer of another."""
    files, model = sorted(photos.rglob("*.jpg")), load(request.getfixturevalue(kind), 1)
    expected = [one.guesses[0].probability for one in adarts.predict(model, files, top=1, threads=1)]
    with serving(model) as server, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda file: ask(server, "POST", "/predict", file.read_bytes()), files))
    assert [status for status, _ in found] == [200] * 60
    shares = [answer["guesses"][0]["probability"] for _, answer in found]
    assert shares == pytest.approx(expected, abs=1e-6)


def test_too_many_connections_and_slow_clients(onnx_file: Path) -> None:
    """Clients that send nothing hold their places only for a while."""
    with serving(load(onnx_file, 1), connections=2, seconds=0.5) as server:
        slow = [socket.create_connection(server.server_address[:2]) for _ in range(2)]
        slow[0].sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        time.sleep(0.1)
        with socket.create_connection(server.server_address[:2], timeout=5) as third:
            assert third.recv(100).startswith(b"HTTP/1.1 503")
        end = time.monotonic() + 5
        for one in slow:
            one.settimeout(5)
            assert one.recv(100) == b""
            one.close()
        assert time.monotonic() < end
        time.sleep(0.1)
        assert ask(server, "POST", "/predict", image())[0] == 200


def test_a_client_that_sends_byte_by_byte(onnx_file: Path) -> None:
    """The time is for the whole request, its first lines included."""
    with serving(load(onnx_file, 1), seconds=0.5) as server:
        start = time.monotonic()
        with socket.create_connection(server.server_address[:2], timeout=5) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
            slow.settimeout(0.1)
            while time.monotonic() < start + 5:
                try:
                    slow.sendall(b"x")
                    if slow.recv(100) == b"":
                        break
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
        assert time.monotonic() < start + 4


def test_a_network_that_fails(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Failing:
        facts = load(run).facts

        def logits(self, pixels: np.ndarray) -> np.ndarray:
            raise ValueError("out of order")

    hook, seen = threading.excepthook, []
    threading.excepthook = seen.append
    try:
        with serving(Failing()) as server:
            for _ in range(2):
                assert ask(server, "POST", "/predict", image()) == (500, {"error": "the network failed"})
    finally:
        threading.excepthook = hook
    assert [str(one.exc_value) for one in seen] == ["out of order"] * 2


def test_the_verb(onnx_file: Path) -> None:
    """It says where it listens, needs no torch, and ends well with Ctrl-C."""
    code = (
        "import signal, sys\nfrom adarts.cli.main import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background begins with Ctrl-C ignored
        f"code = main(['serve', {str(onnx_file)!r}, '--port', '0'])\n"
        "print(code, 'torch' in sys.modules)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = re.search(r"at http://(127\.0\.0\.1):(\d+); stop it with Ctrl-C", process.stdout.readline())
    assert url is not None
    connection = http.client.HTTPConnection(url[1], int(url[2]), timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    page = response.read().decode()
    assert response.status == 200 and "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert "Which of 3 classes is it?" in page
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert out.splitlines() == ["stopped", "0 False"]


def test_a_port_in_use(server: Server, onnx_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(onnx_file), "--port", str(server.server_port)]) == 2
    assert "choose another --port or --host" in capsys.readouterr().err


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_the_page_in_a_browser(server: Server, photos: Path, tmp_path: Path) -> None:
    file = next((photos / "dog <b>").iterdir())
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "large.png").write_bytes(bytes(300_000))
    with Browser(tmp_path / "profile") as browser:
        browser.send("Page.navigate", url=server.url)
        browser.wait("document.readyState === 'complete' && document.getElementById('file') !== null")
        browser.choose("#file", file)
        rows = browser.wait("(r => r.length && r)([...document.querySelectorAll('li')].map(one => one.innerText))")
        _, answer = ask(server, "POST", "/predict", file.read_bytes())
        assert [row.split("\n") for row in rows] == [
            [guess["name"], f"{100 * guess['probability']:.1f} %"] for guess in answer["guesses"]
        ]
        assert browser.run("document.querySelectorAll('li b').length") == 3  # bars, and none from the name of a class
        assert browser.wait("document.querySelector('label img').naturalWidth") == 30
        for name, words in (("text.png", "not an image"), ("large.png", "larger than")):
            browser.choose("#file", tmp_path / name)
            note = "document.querySelector('#note.error')?.textContent"
            assert words in browser.wait(f"({note} || '').includes({words!r}) && {note}")
        assert browser.run("document.querySelectorAll('li').length") == 0
