"""``adarts serve``: a page and a JSON endpoint for one network."""

from __future__ import annotations

import sys
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse

_OWN = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, config=FORM)
class Serve:
    """Serve a network: a page to drop a picture on, and a JSON endpoint. Without --host, only this machine can reach it."""

    model: Annotated[str, Positional("RUN|MODEL.onnx")]
    """A training run (its folder, its name, or latest), or a file of `adarts export`. An ONNX file needs no torch."""
    host: str = "127.0.0.1"
    """Address to listen at. 0.0.0.0 lets other machines in; there is no password and no encryption."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen at; 0 takes a free one."""
    max_megabytes: PositiveFloat = 16.0
    """Largest image file."""
    max_megapixels: PositiveFloat = 40.0
    """Largest image."""
    threads: PositiveInt | None = None
    """CPU threads of one image; none uses all cores."""


def run(words: list[str]) -> int:
    """Run ``adarts serve``."""
    form = parse(Serve, words, "adarts serve")
    from adarts.export.loaded import load
    from adarts.export.server import Limits, Server

    limits = Limits(bytes=int(form.max_megabytes * 2**20), pixels=int(form.max_megapixels * 1e6))
    with Server(load(form.model, form.threads), form.host, form.port, limits) as server:
        if form.host not in _OWN:
            print("warning: every machine that reaches this address can use the network", file=sys.stderr)
        print(f"serving {form.model} at {server.url}; stop it with Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")
    return 0
