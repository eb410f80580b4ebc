"""The textbook supernet of NAS-Bench-201: the mixed edge of the other textbook with this space's operations and network.

Six edges, one kind of cell without preprocessing, whose last node leaves it; two residual blocks halve the image. Pools have no
normalization. It imports torch and the other textbook alone.
"""

from __future__ import annotations

import torch
from textbook import Design, MixedEdge, Stem, norm
from torch import Tensor, nn
from torch.nn import functional as F

OPERATIONS_201 = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES_201 = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


class NorConv(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm = norm(channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return self.norm(self.conv(F.relu(x_bchw)))


class PlainAvgPool(nn.Module):
    def forward(self, x_bchw: Tensor) -> Tensor:
        return F.avg_pool2d(x_bchw, 3, 1, padding=1, count_include_pad=False)


class MixedEdge201(MixedEdge):
    def __init__(self, channels: int, design: Design, attention: nn.Module | None) -> None:
        super().__init__(channels, 1, design, attention)  # type: ignore[arg-type]
        selected = self.num_selected
        self.operations = nn.ModuleDict(
            {
                "skip_connect": nn.Identity(),
                "nor_conv_1x1": NorConv(selected, 1),
                "nor_conv_3x3": NorConv(selected, 3),
                "avg_pool_3x3": PlainAvgPool(),
            }
        )

    def mixed(self, x_bshw: Tensor, weights_o: Tensor) -> Tensor:
        weights = dict(zip(OPERATIONS_201, weights_o.unbind(), strict=True))
        return sum(weights[name] * operation(x_bshw) for name, operation in self.operations.items())


class ConvNorm(nn.Module):
    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return self.norm(self.conv(F.relu(x_bchw)))


class Reduction(nn.Module):
    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, channels, 2)
        self.conv2 = ConvNorm(channels, channels, 1)
        self.shortcut = nn.Conv2d(in_channels, channels, 1, bias=False)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return self.conv2(self.conv1(x_bchw)) + self.shortcut(F.avg_pool2d(x_bchw, 2))


class Cell201(nn.Module):
    def __init__(self, channels: int, design: Design, attention_of: object) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {f"{s}_{t}": MixedEdge201(channels, design, attention_of(channels)) for s, t in EDGES_201}
        )  # type: ignore[operator]

    def forward(
        self, x_bchw: Tensor, weights_eo: Tensor, edge_e: Tensor | None, given: dict[int, Tensor]
    ) -> tuple[Tensor, dict[int, Tensor]]:
        states, used = [x_bchw], {}
        for target in (1, 2, 3):
            total = torch.zeros_like(x_bchw)
            for source in range(target):
                e = EDGES_201.index((source, target))
                y_bchw, used[e] = self.edges[f"{source}_{target}"](states[source], None, weights_eo[e], given.get(e))
                total = total + (y_bchw if edge_e is None else edge_e[e] * y_bchw)
            states.append(total)
        return states[3], used


class TextbookSupernet201(nn.Module):
    """Attention modules belong to the edges here."""

    def __init__(
        self,
        channels: int,
        cells: int,
        num_classes: int,
        normalization: bool = False,
        in_channels: int = 3,
        **design: object,
    ) -> None:
        super().__init__()
        from textbook import ChannelAttention

        options = {"selector": "attention", "k": 4, "attention": True, "attention_scope": "edge", "mask_scope": "batch"}
        made = Design(**{**options, **design})  # type: ignore[arg-type]

        def attention_of(width: int) -> nn.Module | None:
            return ChannelAttention(width, width // made.k, made.mask_scope) if made.attention else None

        self.stem = Stem(in_channels, channels)
        self.cells, self.reductions = nn.ModuleList(), nn.ModuleDict()
        for index in range(cells):
            if index in (cells // 3, 2 * cells // 3):
                self.reductions[str(index)] = Reduction(channels, 2 * channels)
                channels *= 2
            self.cells.append(Cell201(channels, made, attention_of))
        self.last = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, num_classes)
        self.alphas = nn.ParameterDict({"normal": nn.Parameter(torch.randn(6, 5))})
        self.betas = nn.ParameterDict()
        if normalization:
            self.betas["normal"] = nn.Parameter(torch.randn(6))

    def forward(
        self,
        x_bchw: Tensor,
        selection: dict[tuple[int, int], Tensor] | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        weights_eo = self.alphas["normal"].softmax(-1) if weights is None else weights
        edge_e = None
        if "normal" in self.betas:
            edge_e = torch.cat([part.softmax(0) for part in self.betas["normal"].split([1, 2, 3])])
        x_bchw = self.stem(x_bchw)
        self.selection = {}
        for index, cell in enumerate(self.cells):
            if str(index) in self.reductions:
                x_bchw = self.reductions[str(index)](x_bchw)
            given = {} if selection is None else {e: selection[index, e] for e in range(6)}
            x_bchw, used = cell(x_bchw, weights_eo, edge_e, given)
            self.selection.update({(index, e): chosen for e, chosen in used.items()})
        return self.classifier(self.last(x_bchw).mean((2, 3)))
