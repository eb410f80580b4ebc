"""The textbook supernet: edge by edge, as equations 1-10 and Algorithms 1-3 of the ADARTS paper read.

It is written to be easy to check, not to be fast. If you doubt the package's supernet, read this one; a test proves
the two equal. It is also the yardstick for speed, so it does what the equations ask and nothing else. It imports torch
alone. Where the paper is silent or contradicts itself:

* eq. 7 needs a ReLU between its two layers and the sigmoid of its first three lines; no bias; hidden width C/K.
* eq. 10 is read as Algorithm 3 says: sum_k alpha_k o_k(M * x') + (1 - M) * x'. Attention scales the bypass too.
* One mask for the whole batch, from the batch mean of the attention, or from its running average in evaluation mode;
  `mask_scope="sample"` gives every image its own. Selected channels keep their order, and return to where they were.
* At stride 2 the bypass is a 2x2 max pool; an odd side is rounded up, as convolutions do. Pools are
  followed by BatchNorm, and no BatchNorm in a cell has weights.
* `selector="first"` is PC-DARTS: a slice, the concatenation, a channel shuffle, which `shuffle=False` leaves out.
  `"random"` does not shuffle.
* `slots="persistent"`: a channel that stays selected keeps its slot among the inputs of the operations, and newcomers fill the
  free ones, lowest channel into lowest slot. The slots follow the passes that the running average follows.
* `freeze` keeps the channels: `"attention"` takes those of the running average once `end_warmup` is called, and the average
  stands still; `"random"` draws once.

Shape suffixes: b batch, c channels, h w, s selected channels, e edges, o operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NUM_INPUTS, NUM_NODES = 2, 4
EDGES = tuple((source, target) for target in range(NUM_INPUTS, NUM_INPUTS + NUM_NODES) for source in range(target))

SelectionByEdge = dict[tuple[int, int], Tensor]  # (cell, edge) -> channel indices (s,) or (b, s)


@dataclass(frozen=True)
class Design:
    """Design of a mixed edge, apart from its operations."""

    selector: str
    k: int
    attention: bool
    attention_scope: str
    mask_scope: str
    auxiliary_skip: bool = False
    shuffle: bool | None = None
    freeze: bool = False
    slots: str = "sorted"


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=False)


# ------------------------------------------------------------------------------------------------ candidate operations


class ReLUConvBN(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = norm(out_channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return self.norm(self.conv(F.relu(x_bchw)))


class FactorizedReduce(nn.Module):
    """Half the resolution: two 1x1 convolutions of stride 2, the second one shifted by a pixel."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        if out_channels % 2:
            raise ValueError(f"FactorizedReduce needs an even number of channels, not {out_channels}")
        self.conv1 = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.conv2 = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.norm = norm(out_channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        x_bchw = F.relu(x_bchw)
        shifted_bchw = x_bchw[:, :, 1:, 1:]
        height, width = x_bchw.shape[2:]
        if height % 2 or width % 2:  # zeros beyond the border, as around every convolution
            shifted_bchw = F.pad(shifted_bchw, (0, width % 2, 0, height % 2))
        return self.norm(torch.cat((self.conv1(x_bchw), self.conv2(shifted_bchw)), dim=1))


class MaxPool(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm = norm(channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return self.norm(F.max_pool2d(x_bchw, 3, self.stride, padding=1))


class AvgPool(MaxPool):
    def forward(self, x_bchw: Tensor) -> Tensor:
        return self.norm(F.avg_pool2d(x_bchw, 3, self.stride, padding=1, count_include_pad=False))


def depthwise(channels: int, kernel: int, stride: int, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)


def pointwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 1, bias=False)


class DilConv(nn.Module):
    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.depthwise = depthwise(channels, kernel, stride, dilation=2)
        self.pointwise = pointwise(channels)
        self.norm = norm(channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return self.norm(self.pointwise(self.depthwise(F.relu(x_bchw))))


class SepConv(nn.Module):
    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.depthwise1 = depthwise(channels, kernel, stride)
        self.pointwise1 = pointwise(channels)
        self.norm1 = norm(channels)
        self.depthwise2 = depthwise(channels, kernel, 1)
        self.pointwise2 = pointwise(channels)
        self.norm2 = norm(channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        x_bchw = self.norm1(self.pointwise1(self.depthwise1(F.relu(x_bchw))))
        return self.norm2(self.pointwise2(self.depthwise2(F.relu(x_bchw))))


def skip(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)


def candidate_operations(channels: int, stride: int) -> nn.ModuleDict:
    """All operations except `none`: its term in eq. 3 is zero, so it only takes its share of the softmax."""
    return nn.ModuleDict(
        {
            "max_pool_3x3": MaxPool(channels, stride),
            "avg_pool_3x3": AvgPool(channels, stride),
            "skip_connect": skip(channels, stride),
            "sep_conv_3x3": SepConv(channels, 3, stride),
            "sep_conv_5x5": SepConv(channels, 5, stride),
            "dil_conv_3x3": DilConv(channels, 3, stride),
            "dil_conv_5x5": DilConv(channels, 5, stride),
        }
    )


# ----------------------------------------------------------------------------- attention, selection, partial connection


class ChannelAttention(nn.Module):
    """Algorithm 1, eqs. 7 and 8."""

    def __init__(self, channels: int, hidden: int, mask_scope: str) -> None:
        super().__init__()
        self.mask_scope, self.frozen = mask_scope, False
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)
        self.average: Tensor
        self.register_buffer("average", torch.full((channels,), 0.5))

    def mlp(self, f_bc: Tensor) -> Tensor:
        return self.expand(F.relu(self.reduce(f_bc)))

    def forward(self, x_bchw: Tensor) -> tuple[Tensor, Tensor]:
        """The scaled input F' = F_c * F, and the scores to select channels by: (c,), or (b, c) for a mask an image."""
        average_bc = F.adaptive_avg_pool2d(x_bchw, 1).flatten(1)
        maximum_bc = F.adaptive_max_pool2d(x_bchw, 1).flatten(1)
        attention_bc = torch.sigmoid(self.mlp(average_bc) + self.mlp(maximum_bc))
        scores = attention_bc.detach().mean(dim=0)
        if self.training and not self.frozen:
            self.average.lerp_(scores, 0.1)
        else:
            scores = self.average  # so that an image's output does not depend on the others of its batch
        if self.mask_scope == "sample":
            scores = attention_bc.detach()
        return attention_bc[:, :, None, None] * x_bchw, scores


def select(scores: Tensor, num_selected: int) -> Tensor:
    """Algorithm 2, eq. 9: the channels with the highest scores, in their original order."""
    return scores.sort(dim=-1, descending=True, stable=True).indices[..., :num_selected].sort(dim=-1).values


def keep_slots(slots: Tensor, chosen: Tensor) -> Tensor:
    """The chosen channels, slot by slot: one that was there before stays, a free slot takes the next newcomer."""
    newcomers = [channel for channel in chosen.tolist() if channel not in slots.tolist()]
    kept = [channel if channel in chosen.tolist() else newcomers.pop(0) for channel in slots.tolist()]
    return torch.tensor(kept, device=slots.device)


def channel_shuffle(x_bchw: Tensor, groups: int) -> Tensor:
    b, c, h, w = x_bchw.shape
    return x_bchw.view(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)


class Node(nn.Module):
    """A source node at `attention_scope="node"`: one attention module, shared by the edges that leave it."""

    def __init__(self, attention: ChannelAttention) -> None:
        super().__init__()
        self.attention = attention


class MixedEdge(nn.Module):
    """Algorithm 3, eqs. 3 and 10: the selected channels pass through the operations, the others bypass them."""

    def __init__(self, channels: int, stride: int, design: Design, attention: ChannelAttention | None) -> None:
        super().__init__()
        self.channels, self.num_selected, self.stride = channels, channels // design.k, stride
        self.selector, self.k, self.shuffle = design.selector, design.k, design.shuffle is not False
        self.attention = attention
        self.operations = candidate_operations(self.num_selected, stride)
        if design.auxiliary_skip:
            self.auxiliary = skip(self.num_selected, stride)
        self.first: Tensor
        self.register_buffer("first", torch.arange(self.num_selected), persistent=False)
        self.slots: Tensor | None
        self.register_buffer("slots", self.draw() if design.freeze and design.selector == "random" else None)
        self.persistent, self.frozen = design.slots == "persistent", False
        if self.persistent:
            self.slots = self.first.clone()

    def mixed(self, x_bshw: Tensor, weights_o: Tensor) -> Tensor:
        """Eq. 3; one weight more than there are operations is that of the auxiliary skip (DARTS-)."""
        weights = dict(zip((*OPERATIONS, "auxiliary"), weights_o.unbind(), strict=False))
        y_bshw = sum(weights[name] * operation(x_bshw) for name, operation in self.operations.items())
        return y_bshw + weights["auxiliary"] * self.auxiliary(x_bshw) if "auxiliary" in weights else y_bshw

    def bypass(self, x_bchw: Tensor) -> Tensor:
        return x_bchw if self.stride == 1 else F.max_pool2d(x_bchw, 2, ceil_mode=True)

    def draw(self) -> Tensor:
        return torch.randperm(self.channels)[: self.num_selected].sort().values.to(self.first.device)

    def choose(self, scores: Tensor | None, given: Tensor | None) -> Tensor:
        if self.selector in ("all", "first"):
            if given is not None and not torch.equal(given, self.first):
                raise ValueError(f"selector {self.selector!r} has a selection of its own; another one cannot be given")
            return self.first
        if given is not None:
            return given
        if self.selector == "random":
            return self.draw() if self.slots is None else self.slots
        assert scores is not None
        chosen = select(scores, self.num_selected)
        return keep_slots(self.slots, chosen) if self.persistent else chosen

    def forward(
        self, x_bchw: Tensor, scores: Tensor | None, weights_o: Tensor, given: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The edge's output, and the selected channels; with attention at the node, x comes scaled, with its scores."""
        if self.attention is not None:
            x_bchw, scores = self.attention(x_bchw)
        index = self.choose(scores, given)
        if self.persistent and self.training and not self.frozen:
            self.slots.copy_(index)
        if self.k == 1:
            return self.mixed(x_bchw, weights_o), index
        if self.selector == "first":
            y_bshw = self.mixed(x_bchw[:, : self.num_selected], weights_o)
            x_bchw = torch.cat((y_bshw, self.bypass(x_bchw[:, self.num_selected :])), dim=1)
            return channel_shuffle(x_bchw, self.k) if self.shuffle else x_bchw, index
        if index.dim() == 1:
            y_bshw = self.mixed(x_bchw.index_select(1, index), weights_o)
            return self.bypass(x_bchw).index_copy(1, index, y_bshw), index
        index_bs11 = index[:, :, None, None]
        y_bshw = self.mixed(x_bchw.gather(1, index_bs11.expand(-1, -1, *x_bchw.shape[2:])), weights_o)
        return self.bypass(x_bchw).scatter(1, index_bs11.expand_as(y_bshw), y_bshw), index


# --------------------------------------------------------------------------------------------------- cell and network


class Cell(nn.Module):
    def __init__(
        self, inputs: tuple[int, int], channels: int, reduction: bool, after_reduction: bool, design: Design
    ) -> None:
        super().__init__()
        if channels % design.k:
            raise ValueError(f"k={design.k} does not divide {channels} channels")

        def attention(scope: str) -> ChannelAttention | None:
            if not design.attention or design.attention_scope != scope:
                return None
            return ChannelAttention(channels, channels // design.k, design.mask_scope)

        self.preprocess0 = (FactorizedReduce if after_reduction else ReLUConvBN)(inputs[0], channels)
        self.preprocess1 = ReLUConvBN(inputs[1], channels)
        self.edges = nn.ModuleDict()
        for source, target in EDGES:
            stride = 2 if reduction and source < NUM_INPUTS else 1
            self.edges[f"{source}_{target}"] = MixedEdge(channels, stride, design, attention("edge"))
        self.nodes = nn.ModuleDict()
        for source in range(NUM_INPUTS + NUM_NODES - 1):
            shared = attention("node")
            if shared is not None:
                self.nodes[str(source)] = Node(shared)

    def forward(
        self,
        s0_bchw: Tensor,
        s1_bchw: Tensor,
        weights_eo: Tensor,
        edge_weights_e: Tensor | None,
        given: dict[int, Tensor],
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """The cell's output, and the selection of every edge. Eq. 1: a node is the sum of the edges that enter it."""
        sources: list[tuple[Tensor, Tensor | None]] = []  # what leaves a node, with its scores at node scope
        states: list[Tensor] = []

        def add(x_bchw: Tensor) -> None:
            node = str(len(states))
            states.append(x_bchw)
            sources.append(self.nodes[node].attention(x_bchw) if node in self.nodes else (x_bchw, None))

        add(self.preprocess0(s0_bchw))
        add(self.preprocess1(s1_bchw))
        used: dict[int, Tensor] = {}
        for target in range(NUM_INPUTS, NUM_INPUTS + NUM_NODES):
            outputs = []
            for source in range(target):
                e = EDGES.index((source, target))
                edge = self.edges[f"{source}_{target}"]
                y_bchw, used[e] = edge(*sources[source], weights_eo[e], given.get(e))
                outputs.append(y_bchw if edge_weights_e is None else edge_weights_e[e] * y_bchw)
            add(sum(outputs))
        return torch.cat(states[NUM_INPUTS:], dim=1), used


class Stem(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return self.norm(self.conv(x_bchw))


class TextbookSupernet(nn.Module):
    """The supernet in NCHW, one small module after the other. See the head of this file."""

    def __init__(
        self,
        channels: int = 16,
        cells: int = 8,
        num_classes: int = 10,
        in_channels: int = 3,
        selector: str = "attention",
        k: int = 4,
        attention: bool = True,
        attention_scope: str = "edge",
        mask_scope: str = "batch",
        normalization: bool = False,
        auxiliary_skip: bool = False,
        shuffle: bool | None = None,
        freeze: bool = False,
        slots: str = "sorted",
    ) -> None:
        super().__init__()
        design = Design(selector, k, attention, attention_scope, mask_scope, auxiliary_skip, shuffle, freeze, slots)
        self.stem = Stem(in_channels, 3 * channels)
        self.kinds = ["reduction" if i in (cells // 3, 2 * cells // 3) else "normal" for i in range(cells)]
        self.cells = nn.ModuleList()
        inputs, after_reduction = (3 * channels, 3 * channels), False
        for kind in self.kinds:
            reduction = kind == "reduction"
            channels *= 2 if reduction else 1
            self.cells.append(Cell(inputs, channels, reduction, after_reduction, design))
            inputs, after_reduction = (inputs[1], NUM_NODES * channels), reduction
        self.classifier = nn.Linear(inputs[1], num_classes)
        self.alphas, self.betas = nn.ParameterDict(), nn.ParameterDict()
        for kind in ("normal", "reduction"):
            self.alphas[kind] = nn.Parameter(1e-3 * torch.randn(len(EDGES), len(OPERATIONS)))
            if normalization:
                self.betas[kind] = nn.Parameter(1e-3 * torch.randn(len(EDGES)))
        self.selection: SelectionByEdge = {}
        self.freeze = freeze

    def end_warmup(self) -> None:
        """With `freeze`, attention selects the same channels from now on."""
        for module in self.modules():
            if isinstance(module, ChannelAttention | MixedEdge):
                module.frozen = self.freeze

    def operation_weights(self, kind: str) -> Tensor:
        """Eq. 2."""
        return self.alphas[kind].softmax(dim=-1)

    def edge_weights(self, kind: str) -> Tensor | None:
        """PC-DARTS's edge normalization: a softmax over the edges that enter a node."""
        if kind not in self.betas:
            return None
        num_incoming = list(range(NUM_INPUTS, NUM_INPUTS + NUM_NODES))
        return torch.cat([beta.softmax(dim=0) for beta in self.betas[kind].split(num_incoming)])

    def forward(
        self,
        x_bchw: Tensor,
        selection: SelectionByEdge | None = None,
        operation_weights: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Logits; by the softmax of the alphas, or by the weights that a method made of them."""
        given_weights = operation_weights or {}
        weights = {
            kind: (given_weights.get(kind, self.operation_weights(kind)), self.edge_weights(kind))
            for kind in ("normal", "reduction")
        }
        s0_bchw = s1_bchw = self.stem(x_bchw)
        self.selection = {}
        for i, (kind, cell) in enumerate(zip(self.kinds, self.cells, strict=True)):
            given = {} if selection is None else {e: selection[i, e] for e in range(len(EDGES))}
            output_bchw, used = cell(s0_bchw, s1_bchw, *weights[kind], given)
            s0_bchw, s1_bchw = s1_bchw, output_bchw
            self.selection.update({(i, e): index for e, index in used.items()})
        return self.classifier(s1_bchw.mean(dim=(2, 3)))
