#!/usr/bin/env python
"""Draws Figs. 2 to 7 of the paper from the code: `python scripts/paper_figures.py [FOLDER]`, by default into docs/images.

The drawings show the same things as the paper's, in our own form. Their numbers are those of real objects: one mixed edge of a
supernet of ADARTS with drawn weights and alphas, what the derivation makes of these alphas, and the shapes that images have in
the networks. So a change of the code changes the drawings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import torch
from torch import Tensor, nn

from adarts import kernels, zoo
from adarts.config.settings import SupernetSettings
from adarts.models import Network
from adarts.models.network import Cell
from adarts.report.cells import node_text
from adarts.report.drawing import framed
from adarts.report.palette import BOXES, GRID, GROUND, INK, MUTED, SERIES, SHADE, Look, look
from adarts.searching import search_config
from adarts.spaces import DARTS, Genotype, derive
from adarts.supernet import Supernet
from adarts.supernet.cell import SearchCell
from adarts.supernet.edges import SourceEdges

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH = 760
SEED = 4
SOURCE, TARGET = 1, 2
"""The mixed edge that is drawn: from the second input to the first node."""
ACCENT, QUIET = BOXES["node"][1], MUTED
FONT = "Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"


# ------------------------------------------------------------------------------------------------------------- what is drawn


@dataclass(frozen=True)
class Edge:
    """One mixed edge in one pass, for one image.

    Attributes:
        x_chw: feature map of its source.
        reduce_hc, expand_ch: weights of its attention.
        attention_c: its attention.
        chosen: its selected channels, in the order of the slots.
        weights: weight of every operation, by name.
        cells: what is derived from all alphas of the supernet.
    """

    x_chw: Tensor
    reduce_hc: Tensor
    expand_ch: Tensor
    attention_c: Tensor
    chosen: list[int]
    weights: Mapping[str, float]
    cells: Genotype

    @property
    def pooled(self) -> dict[str, Tensor]:
        """The two vectors that enter the attention, by name."""
        return {"mean": self.x_chw.mean((1, 2)), "maximum": self.x_chw.amax((1, 2))}


@cache
def edge() -> Edge:
    """An edge of the first cell of a supernet of ADARTS; the weights are drawn widely, so that the channels differ visibly."""
    # Normalization makes the mean of a single image 0, so there are two; each chooses its channels by what is drawn.
    design = search_config(method="adarts", edge={"mask_scope": "sample"}).edge
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        supernet = Supernet(DARTS, SupernetSettings(channels=16, cells=3), design, 10).double()
        images = torch.randn(2, 3, 5, 5, dtype=torch.double)
        for alphas in supernet.alphas.values():
            nn.init.normal_(alphas, std=0.7)
        cell = next(supernet.search_cells())
        leaving = cell.sources[SOURCE]
        assert isinstance(leaving, SourceEdges) and leaving.attention is not None
        for weight in leaving.attention.parameters():
            nn.init.normal_(weight, std=0.42)
    seen: dict[str, Tensor] = {}
    leaving.register_forward_pre_hook(lambda _, given: seen.update(x=given[0]))
    leaving.attention.register_forward_hook(lambda _, given, found: seen.update(attention=found))
    with torch.no_grad(), kernels.using("torch"):  # native kernels compute the attention without its module
        supernet(images)
    row = DARTS.edges.index((SOURCE, TARGET))
    place = DARTS.leaving[SOURCE].index(row)
    weights = supernet.operation_weights()
    return Edge(
        seen["x"][0],
        leaving.attention.reduce.weight[place].detach(),
        leaving.attention.expand.weight[place].detach(),
        seen["attention"][place, 0],
        supernet.selection.cells[0][0, row].tolist(),
        dict(zip(DARTS.operations, weights["normal"][row].tolist(), strict=True)),
        derive(DARTS, weights),
    )


@dataclass(frozen=True)
class Shape:
    """A cell in a network: its kind, the channels of its nodes, and the side of its output."""

    kind: str
    channels: int
    side: int


def shapes(network: Supernet | Network, channels_of: Sequence[int]) -> list[Shape]:
    """The cells of a network, from a pass of a CIFAR image without numbers."""
    sides: list[int] = []
    cells = [module for module in network.modules() if isinstance(module, Cell | SearchCell)]
    for cell in cells:
        cell.register_forward_hook(
            lambda _, given, out: sides.append((out if isinstance(out, Tensor) else out[0]).shape[-1])
        )
    network(torch.empty(2, 3, 32, 32, device="meta"))
    kinds = [DARTS.cell_kind(index, len(cells)) for index in range(len(cells))]
    return [Shape(*each) for each in zip(kinds, channels_of, sides, strict=True)]


# --------------------------------------------------------------------------------------------------------------------- pencil


class Sketch:
    """A drawing in pixels from the top left corner.

    Args:
        height: its height.
        words: what it shows, for screen readers.
    """

    def __init__(self, height: float, words: str) -> None:
        self.height, self.words = height, words
        self._parts: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, fill: Look, line: Look | None = None, radius: float = 3
    ) -> None:
        """A rectangle."""
        edge = "" if line is None else f"; stroke: {line.light}"
        place = f'x="{x:.4g}" y="{y:.4g}" width="{width:.4g}" height="{height:.4g}" rx="{radius:g}"'
        self._parts.append(f'<rect {place} style="fill: {fill.light}{edge}"/>')

    def named(self, kind: str, x: float, y: float, width: float, height: float, *lines: str) -> None:
        """A box of a kind (input, node, output) with lines of text in the middle."""
        self.box(x, y, width, height, *BOXES[kind], radius=6)
        for number, text in enumerate(lines):
            down = y + height / 2 + 4.5 + 16 * (number - (len(lines) - 1) / 2)
            self.text(x + width / 2, down, text, size=13)

    def shade(self, x: float, y: float, width: float, height: float, share: float, color: Look = ACCENT) -> None:
        """A rectangle that is the more colored the larger a share is, in sixteenths."""
        self.fill(f"M{x:.4g} {y:.4g}h{width:.4g}v{height:.4g}h{-width:.4g}z", round(16 * share) / 16, color)

    def fill(self, path: str, opacity: float, color: Look = ACCENT) -> None:
        """A filled path."""
        self._parts.append(f'<path d="{path}" style="fill: {color.light}" fill-opacity="{opacity:.4g}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        color: Look = INK,
        size: float = 12,
        at: str = "middle",
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        """A line of text; with a halo of the ground, it can lie on lines."""
        style = f"fill: {color.light}"
        if halo:
            style += f"; stroke: {GROUND.light}; stroke-width: 3px; paint-order: stroke; stroke-linejoin: round"
        weight = ' font-weight="bold"' if bold else ""
        place = f'x="{x:.4g}" y="{y:.4g}" font-size="{size:g}" text-anchor="{at}"{weight}'
        self._parts.append(f'<text {place} style="{style}">{escape(text)}</text>')

    def line(self, path: str, color: Look = MUTED, width: float = 1.3, dash: Sequence[float] = ()) -> None:
        """A curve."""
        dashes = f' stroke-dasharray="{" ".join(f"{part:g}" for part in dash)}"' if dash else ""
        style = f"fill: none; stroke: {color.light}"
        self._parts.append(f'<path d="{path}" style="{style}" stroke-width="{width:.3g}"{dashes}/>')

    def head(self, x: float, y: float, down: bool = False, color: Look = MUTED) -> None:
        """The head of an arrow that ends here, to the right or downwards."""
        corners = f"M{x:.4g} {y:.4g}l-3.5 -7h7z" if down else f"M{x:.4g} {y:.4g}l-7 -3.5v7z"
        self._parts.append(f'<path d="{corners}" style="fill: {color.light}"/>')

    def arrow(self, x: float, y: float, to_x: float, to_y: float | None = None, color: Look = MUTED) -> None:
        """An arrow to the right; to another height, it is a curve that begins and ends level."""
        to_y, middle = y if to_y is None else to_y, (x + to_x) / 2
        self.line(f"M{x:.4g} {y:.4g}C{middle:.4g} {y:.4g} {middle:.4g} {to_y:.4g} {to_x - 5:.4g} {to_y:.4g}", color)
        self.head(to_x, to_y, color=color)

    def circle(self, x: float, y: float, sign: str) -> None:
        """A sign in a circle."""
        self.box(x - 13, y - 13, 26, 26, SHADE, MUTED, radius=13)
        self.text(x, y + 5, sign, size=15)

    def svg(self) -> str:
        """The drawing as an SVG file."""
        ground = f'<rect width="{WIDTH}" height="{self.height:g}" rx="6" style="fill: {GROUND.light}"/>'
        body = "\n".join(self._parts)
        return framed(
            "figure", WIDTH, self.height, self.words, f'<svg>{ground}\n<g font-family="{FONT}">\n{body}\n</g></svg>'
        )


def shares(values: Sequence[float]) -> Iterator[float]:
    """Values as shares from 0.1 (the lowest) to 1 (the highest)."""
    low, high = min(values), max(values)
    return (0.1 + 0.9 * (value - low) / (high - low) for value in values)


def strip(sketch: Sketch, x: float, y: float, width: float, pitch: float, values: Tensor, color: Look = ACCENT) -> None:
    """A column of channels, each the more colored the larger its value is."""
    for number, share in enumerate(shares(values.tolist())):
        sketch.shade(x, y + pitch * number, width, pitch - 1, share, color)


def maps(sketch: Sketch, places: Sequence[tuple[float, float]], side: float, x_chw: Tensor, most: float) -> None:
    """Every channel as a square of pixels, the darker the farther from 0. Pixels of one shade are one path, to save space."""
    pixel = side / x_chw.shape[-1]
    square = f"h{pixel:.4g}v{pixel:.4g}h{-pixel:.4g}z"
    shades: dict[int, list[str]] = {}
    for (left, top), x_hw in zip(places, x_chw, strict=True):
        for row, values in enumerate(x_hw.tolist()):
            for column, value in enumerate(values):
                shade = round(16 * abs(value) / most)
                shades.setdefault(shade, []).append(f"M{left + pixel * column:.4g} {top + pixel * row:.4g}{square}")
    for shade, pixels in sorted(shades.items()):
        sketch.fill("".join(pixels), shade / 16)
    for left, top in places:
        sketch.line(f"M{left:.4g} {top:.4g}h{side:g}v{side:g}h{-side:g}z", GRID, 1)


# -------------------------------------------------------------------------------------------------------------------- figures


def fig2() -> Sketch:
    """The search space, one edge of it, and the derived cell."""
    here = edge()
    sketch = Sketch(
        300,
        "The process of differentiable search. Left: a cell with all its edges. Middle: one edge is the weighted sum of all "
        "operations. Right: the derived cell keeps two edges a node, each with its strongest operation.",
    )
    names = [node_text(index, DARTS.num_inputs, DARTS.num_nodes) for index in range(DARTS.targets[-1] + 2)]
    kept = {
        (source, node): name
        for node, pairs in enumerate(here.cells.cells["normal"].nodes, DARTS.num_inputs)
        for name, source in pairs
    }
    panels = [("1. All edges", 12.0, None), ("3. Two edges a node are kept", 516.0, kept)]
    for title, left, chosen in panels:
        sketch.text(left, 24, title, at="start", size=13, bold=True)
        _arcs(sketch, left, names, chosen)
    sketch.text(266, 24, f"2. Each is a sum of {len(here.weights)} operations", at="start", size=13, bold=True)
    _operations(sketch, 266, 60, 226, 27, here.weights, (names[SOURCE], names[TARGET]))
    return sketch


def _arcs(sketch: Sketch, left: float, names: Sequence[str], chosen: Mapping[tuple[int, int], str] | None) -> None:
    """A cell as arcs from left to right over its nodes."""
    base, pitch = 206.0, 39.0
    middle = [left + 18 + pitch * index for index in range(len(names) - 1)]
    for source, target in DARTS.edges:
        span = target - source
        name = None if chosen is None else chosen.get((source, target))
        if chosen is not None and name is None:
            continue
        is_shown = chosen is None and (source, target) == (SOURCE, TARGET)
        color = look(name) if name else ACCENT if is_shown else MUTED
        begin, end = middle[source] + 5, middle[target] + 4 - 3.4 * span
        top = base - 18 - 30 * span
        path = f"M{begin:.4g} {base:.4g}C{begin:.4g} {top:.4g} {end:.4g} {top:.4g} {end:.4g} {base - 5:.4g}"
        sketch.line(path, color, 2.4 if name or is_shown else 1.2, color.dash)
        sketch.head(end, base, down=True, color=color)
    for index, name in enumerate(names[:-1]):
        kind = "input" if index < DARTS.num_inputs else "node"
        sketch.box(middle[index] - 17, base, 34, 24, *BOXES[kind], radius=5)
        sketch.text(middle[index], base + 16, name, size=11 if kind == "input" else 13)
    first, last = middle[DARTS.num_inputs] - 17, middle[-1] + 17
    sketch.line(f"M{first:.4g} {base + 30:g}v6h{last - first:.4g}v-6", MUTED)
    sketch.box((first + last) / 2 - 20, base + 44, 40, 24, *BOXES["output"], radius=5)
    sketch.line(f"M{(first + last) / 2:.4g} {base + 36:g}v8", MUTED)
    sketch.text((first + last) / 2, base + 60, names[-1], size=12)
    sketch.text((first + last) / 2 - 28, base + 60, "concatenated", MUTED, at="end")


def _operations(
    sketch: Sketch,
    left: float,
    top: float,
    width: float,
    pitch: float,
    weights: Mapping[str, float],
    ends: tuple[str, str] | None = None,
) -> None:
    """Operations between two ends, as lines from left to right that are the thicker the larger their weight is."""
    middle, strongest = top + pitch * (len(weights) - 1) / 2, max(weights.values())
    inner, side = (38, 34) if ends else (0, 40)
    begin, end = left + inner, left + width - inner
    for number, (name, weight) in enumerate(weights.items()):
        y = top + pitch * number
        color = look(name)
        path = f"M{begin:.4g} {middle:.4g}C{begin + side / 2:.4g} {middle:.4g} {begin + 8:.4g} {y:.4g} {begin + side:.4g} {y:.4g}"
        path += f"H{end - side:.4g}C{end - 8:.4g} {y:.4g} {end - side / 2:.4g} {middle:.4g} {end:.4g} {middle:.4g}"
        sketch.line(path, color, 0.8 + 2.7 * weight / strongest, color.dash)
        label = f"{name}  {weight:.2f}"
        sketch.text((begin + end) / 2, y - 5.5, label, color, size=11, bold=weight == strongest, halo=True)
    if ends:
        for x, text, kind in ((left, ends[0], "input"), (end, ends[1], "node")):
            sketch.box(x, middle - 12, 38, 24, *BOXES[kind], radius=5)
            sketch.text(x + 19, middle + 4.5, text, size=12)


def fig3() -> Sketch:
    """How the attention is computed."""
    here = edge()
    channels, height, width = here.x_chw.shape
    hidden = len(here.reduce_hc)
    sketch = Sketch(
        350,
        f"Channel attention. The {channels} channels of a feature map are pooled by their mean and by their maximum. Both "
        f"vectors pass the same two layers, from {channels} to {hidden} and back. The sigmoid of their sum is the attention.",
    )
    top, pitch, small = 34.0, 17.0, 8.0
    bottom = top + pitch * channels
    maps(sketch, [(24, top + pitch * c) for c in range(channels)], pitch - 2, here.x_chw, float(here.x_chw.abs().max()))
    sketch.text(32, 22, "x", size=14, bold=True)
    sketch.text(32, bottom + 18, f"{channels}×{height}×{width}", MUTED)
    half = small * channels
    rows = {"mean": top, "maximum": bottom - half}
    outputs = []
    for x, size, name in ((196, (hidden, channels), "W₁"), (366, (channels, hidden), "W₂")):
        sketch.named("node", x, top, 62, bottom - top, name, f"{size[0]}×{size[1]}")
    for name, vector_c in here.pooled.items():
        y = rows[name]
        middle = y + half / 2
        sketch.arrow(48, (top + bottom) / 2, 124, middle)
        strip(sketch, 130, y, 24, small, vector_c)
        sketch.text(142, y - 6 if name == "mean" else y + half + 14, name, MUTED)
        sketch.arrow(158, middle, 194)
        hidden_h = torch.relu(here.reduce_hc @ vector_c)
        sketch.arrow(260, middle, 298)
        strip(sketch, 302, middle - 2 * small, 24, 2 * small * 2 / hidden, hidden_h)
        sketch.text(314, middle - 2 * small - 8, "ReLU", MUTED)
        sketch.arrow(330, middle, 364)
        outputs.append(here.expand_ch @ hidden_h)
        sketch.arrow(430, middle, 468)
        strip(sketch, 472, y, 24, small, outputs[-1])
        sketch.arrow(500, middle, 545, (top + bottom) / 2)
    found_c = torch.sigmoid(outputs[0] + outputs[1])
    torch.testing.assert_close(found_c, here.attention_c)  # what is drawn is what the supernet computes
    middle = (top + bottom) / 2
    sketch.circle(560, middle, "+")
    sketch.arrow(574, middle, 598)
    sketch.circle(613, middle, "σ")
    sketch.arrow(627, middle, 662)
    for number, value in enumerate(found_c.tolist()):
        y = top + pitch * number
        sketch.box(668, y, 24, pitch - 2, GROUND, GRID, radius=0)
        sketch.shade(668, y, 24, pitch - 2, value, SERIES[2])
        sketch.text(724, y + 12, f"{value:.2f}", size=12, at="end")
    sketch.text(680, 22, "F", size=14, bold=True)
    sketch.text(688, bottom + 18, str(channels), MUTED)
    sketch.text(142, bottom + 34, "two vectors", MUTED)
    sketch.text(312, bottom + 34, "one network for both", MUTED)
    sketch.text(590, bottom + 34, "sum, then sigmoid", MUTED)
    return sketch


LEFT, PITCH, TILE = 146.0, 37.5, 33.0
"""Place and size of the channels in a row."""


def _across(channels: int) -> list[float]:
    return [LEFT + PITCH * number for number in range(channels)]


def _row(sketch: Sketch, y: float, name: str, *words: str) -> None:
    """The name of a row, and words below it."""
    sketch.text(14, y, name, size=15, at="start", bold=True)
    for number, text in enumerate(words):
        sketch.text(14, y + 17 * (number + 1), text, MUTED, at="start")


def _numbers(sketch: Sketch, y: float, channels: int) -> None:
    sketch.text(14, y, "channel", MUTED, at="start")
    for number, x in enumerate(_across(channels)):
        sketch.text(x + TILE / 2, y, str(number), MUTED)


def fig4() -> Sketch:
    """Every channel is scaled by its attention."""
    here = edge()
    channels = len(here.x_chw)
    sketch = Sketch(208, f"Each of the {channels} channels of a feature map is multiplied by its attention.")
    _numbers(sketch, 22, channels)
    scaled = here.x_chw * here.attention_c[:, None, None]
    most = float(here.x_chw.abs().max())
    for name, words, x_chw, y in (("x", "feature map", here.x_chw, 34.0), ("x′", "scaled", scaled, 160.0)):
        _row(sketch, y + 16, f"= {name}" if name == "x′" else name, words)
        maps(sketch, [(x, y) for x in _across(channels)], TILE, x_chw, most)
    _row(sketch, 108, "× F", "attention")
    for x, value in zip(_across(channels), here.attention_c.tolist(), strict=True):
        sketch.box(x, 92, TILE, 24, GROUND, GRID, radius=0)
        sketch.shade(x, 92, TILE, 24, value, SERIES[2])
        sketch.text(x + TILE / 2, 134, f"{value:.2f}", size=12)
    return sketch


def fig5() -> Sketch:
    """The channels with the highest attention are selected."""
    here = edge()
    channels, top, high = len(here.attention_c), 28.0, 104.0
    sketch = Sketch(
        224,
        f"The {len(here.chosen)} of {channels} channels with the highest attention get 1 in the mask, all others 0.",
    )
    least = min(float(here.attention_c[channel]) for channel in here.chosen)
    _row(sketch, top + 50, "F", "attention")
    for number, (x, value) in enumerate(zip(_across(channels), here.attention_c.tolist(), strict=True)):
        is_chosen = number in here.chosen
        tall = high * value
        sketch.box(x, top + high - tall, TILE, tall, *(BOXES["node"] if is_chosen else (SHADE, GRID)), radius=2)
        sketch.box(x, 168, TILE, 26, *(BOXES["node"] if is_chosen else (SHADE, GRID)))
        sketch.text(x + TILE / 2, 186, str(int(is_chosen)), INK if is_chosen else MUTED, size=14, bold=is_chosen)
    y = top + high * (1 - least)
    sketch.line(f"M{LEFT - 4:g} {y:.4g}H{LEFT + PITCH * channels:.4g}", ACCENT, 1.2, (5, 3))
    for number, (x, value) in enumerate(zip(_across(channels), here.attention_c.tolist(), strict=True)):
        color, is_chosen = (INK, True) if number in here.chosen else (MUTED, False)
        sketch.text(x + TILE / 2, top + high * (1 - value) - 5, f"{value:.2f}", color, bold=is_chosen, halo=True)
    _numbers(sketch, 154, channels)
    _row(sketch, 187, "M", f"the highest {len(here.chosen)}")
    sketch.text(WIDTH - 16, 214, f"selected: {', '.join(map(str, here.chosen))}", at="end")
    return sketch


def fig6() -> Sketch:
    """Selected channels go through the operations, the others bypass them."""
    here = edge()
    channels, chosen = len(here.attention_c), here.chosen
    others = [channel for channel in range(channels) if channel not in chosen]
    sketch = Sketch(
        452,
        f"Partial connection. Channels {', '.join(map(str, chosen))} go through the weighted sum of all operations, the other "
        f"{len(others)} bypass them, and every channel keeps its place in the output.",
    )
    top, pitch, tile = 40.0, 24.0, 20.0
    begin, end = 46.0, WIDTH - 46.0 - 34
    slots = {channel: 88 + 22.0 * number for number, channel in enumerate(chosen)}
    lanes = {channel: 254 + 14.5 * number for number, channel in enumerate(others)}
    left, right = 178.0, WIDTH - 178.0 - 26
    for x, title in ((begin + 17, "x′"), (end + 17, "output")):
        sketch.text(x, 26, title, size=14, bold=True)
    for channel in range(channels):
        outer, inner = top + pitch * channel + tile / 2, (slots | lanes)[channel] + (9 if channel in slots else 6)
        color, width = (ACCENT, 1.8) if channel in slots else (QUIET, 1)
        for x, to_x, y, to_y in ((begin + 34, left, outer, inner), (right + 26, end, inner, outer)):
            sketch.line(
                f"M{x:.4g} {y:.4g}C{x + 45:.4g} {y:.4g} {to_x - 45:.4g} {to_y:.4g} {to_x:.4g} {to_y:.4g}", color, width
            )
        for x in (begin, end):
            sketch.box(x, top + pitch * channel, 34, tile, *(BOXES["node"] if channel in slots else (SHADE, GRID)))
            sketch.text(x + 17, top + pitch * channel + 15, str(channel), bold=channel in slots)
    for channel, y in slots.items():
        for x in (left, right):
            sketch.box(x, y, 26, 18, *BOXES["node"])
            sketch.text(x + 13, y + 13.5, str(channel), size=11)
    for y in lanes.values():
        for x in (left, right):
            sketch.box(x, y, 26, 12.5, SHADE, GRID, radius=2)
        sketch.line(f"M{left + 26:g} {y + 6:.4g}H{right:g}", QUIET, 1)
    middle = 56 + 21 * (len(here.weights) - 1) / 2
    for y in slots.values():
        for x, to_x, begins, ends in ((left + 26, left + 62, y + 9, middle), (right - 36, right, middle, y + 9)):
            half = (x + to_x) / 2
            sketch.line(
                f"M{x:.4g} {begins:.4g}C{half:.4g} {begins:.4g} {half:.4g} {ends:.4g} {to_x:.4g} {ends:.4g}",
                ACCENT,
                1.8,
            )
    _operations(sketch, left + 62, 56, right - left - 111, 21, here.weights)
    sketch.circle(right - 36, middle, "Σ")
    sketch.text((left + right + 26) / 2, 26, f"y = Σ softmax(α) · operation, on {len(chosen)} of {channels} channels")
    sketch.text((left + right + 26) / 2, 244, f"bypass: the other {len(others)} channels")
    return sketch


def fig7() -> Sketch:
    """The network that is searched, and the network that is trained."""
    config = search_config(method="adarts", scale="paper")
    loop = config.supernet
    with torch.device("meta"):
        supernet = Supernet(DARTS, SupernetSettings(channels=loop.channels, cells=loop.cells), config.edge, 10).eval()
        network = Network(zoo.get("ADARTS_V1").genotype, 10, zoo.catalog.CHANNELS, zoo.catalog.CELLS, auxiliary=True)
    searched = shapes(supernet, supernet.cell_channels)
    trained = shapes(
        network, [cell.out_channels // len(DARTS.outputs) for cell in network.modules() if isinstance(cell, Cell)]
    )
    sketch = Sketch(
        352,
        f"Two networks of cells. (a) The searched one has {len(searched)} cells, (b) the trained one {len(trained)}. Reduction "
        "cells at one and two thirds halve the side of the image and double the channels.",
    )
    _stack(sketch, 14, f"(a)  searched: {len(searched)} cells, every edge mixed", searched, None)
    _stack(sketch, 184, f"(b)  trained: {len(trained)} cells, the derived edges", trained, network.auxiliary_index)
    return sketch


def _stack(sketch: Sketch, top: float, title: str, cells: Sequence[Shape], auxiliary: int | None) -> None:
    """A network from left to right; the higher a cell, the larger is what it gives."""
    sketch.text(14, top + 12, title, at="start", size=13, bold=True)
    middle, first, last = top + 78, 92.0, WIDTH - 104.0
    pitch = (last - first) / len(cells)
    width = min(pitch - 8, 48)
    sketch.named("input", 14, middle - 15, 54, 30, "stem")
    places = [first + pitch * index + (pitch - width) / 2 for index in range(len(cells))]
    sketch.line(f"M68 {middle:g}H{last + 8:g}", MUTED)
    sketch.head(last + 16, middle)
    for index, (x, cell) in enumerate(zip(places, cells, strict=True)):
        tall = {32: 76, 16: 54, 8: 36}[cell.side]
        kind = "normal" if cell.kind != DARTS.reduction_kind else "reduction"
        sketch.box(x, middle - tall / 2, width, tall, *BOXES["node" if kind == "normal" else "output"], radius=5)
        sketch.text(x + width / 2, middle + 4.5, kind[0].upper(), size=13, bold=kind == "reduction")
        if index == auxiliary:
            sketch.line(f"M{x + width / 2:.4g} {middle - tall / 2:.4g}V{top + 38:g}h16", MUTED)
            sketch.head(x + width / 2 + 22, top + 38)
            sketch.text(x + width / 2 + 28, top + 42, "auxiliary classifier, in training", at="start")
    sketch.named("output", last + 18, middle - 19, 74, 38, "mean,", "classifier")
    begin = 0
    for index, cell in enumerate(cells):
        if index + 1 < len(cells) and cells[index + 1].side == cell.side:
            continue
        left, right = places[begin] - 2, places[index] + width + 2
        y = middle + 46
        sketch.line(f"M{left:.4g} {y:g}v5H{right:.4g}v-5", MUTED)
        sketch.text((left + right) / 2, y + 20, f"{cell.side}×{cell.side}, {cell.channels} channels a node", MUTED)
        begin = index + 1


FIGURES = {figure.__name__: figure for figure in (fig2, fig3, fig4, fig5, fig6, fig7)}
"""The figures by name."""


def main(folder: Path) -> None:
    """Write all figures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in FIGURES.items():
        (folder / f"paper-{name}.svg").write_text(figure().svg())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
