"""The supernet: every mixed edge contains all candidate operations, weighted by the alphas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.models.operations import BatchNorm2d, ResidualReduction
from adarts.models.stem import stem
from adarts.spaces import Space
from adarts.supernet.batched import BatchNorm
from adarts.supernet.canonical import Names
from adarts.supernet.cell import SearchCell
from adarts.supernet.edges import SourceEdges
from adarts.supernet.operations import EdgeByEdge
from adarts.supernet.plan import ArchWeights, CellPlan, Plan, masked_softmax, plan
from adarts.supernet.recompute import recomputed
from adarts.supernet.selection import AttentionSource, Selection


def is_alpha(name: str) -> bool:
    """Whether a parameter name of the supernet belongs to an alpha or a beta."""
    return name.startswith(("alphas.", "betas."))


class Supernet(nn.Module):
    """The supernet of section II of the paper, with the edge design of section III as a setting.

    Its state dict has readable names by cell, edge and operation (:mod:`adarts.supernet.canonical`), and includes the alphas.

    Args:
        space: the search space.
        settings: width, depth, stem (stride 1 if none), and whether cells are recomputed in the backward pass.
        design: channel selection, attention, edge normalization.
        num_classes: number of classes.
        in_channels: channels of the images.

    Raises:
        ConfigError: `design.k` does not divide the channels.
    """

    def __init__(
        self, space: Space, settings: SupernetSettings, design: EdgeDesign, num_classes: int, in_channels: int = 3
    ) -> None:
        super().__init__()
        self.space, self.design = space, design
        self.recompute = settings.recompute
        self.names = Names(space.edges, design.attention_scope == "node")
        channels = settings.channels
        outputs = (space.stem_multiplier * channels,) * 2
        self.stem_stride = settings.stem_stride or 1
        #: its normalization is affine, as are those in `reductions` and `last`; the normalizations in cells are not
        self.stem = stem(in_channels, outputs[0], self.stem_stride)
        self.kinds = tuple(space.cell_kind(index, settings.cells) for index in range(settings.cells))
        self.cells = nn.ModuleList()
        #: index of a cell -> the residual reduction block before it, in spaces that have these
        self.reductions = nn.ModuleDict()
        self.cell_channels: list[int] = []
        reductions = space.reductions(settings.cells)
        for index, kind in enumerate(self.kinds):
            channels *= 2 if index in reductions else 1
            if index in reductions and space.reduction_kind is None:
                self.reductions[str(index)] = ResidualReduction(outputs[1], channels)
                outputs = (outputs[0], channels)
            self.cell_channels.append(channels)
            self.cells.append(SearchCell(space, outputs, channels, kind, index - 1 in reductions, design))
            outputs = (outputs[1], len(space.outputs) * channels)
        #: normalization before the classifier, for cells whose output is a single sum
        self.last = nn.Identity() if space.all_nodes else nn.Sequential(BatchNorm2d(outputs[1]), nn.ReLU())
        self.classifier = nn.Linear(outputs[1], num_classes)
        num_edges = len(space.edges)
        #: architecture parameters by kind of cell: alphas of the operations (edges, operations), betas of the edges (edges,)
        self.alphas, self.betas = nn.ParameterDict(), nn.ParameterDict()
        for kind in space.cell_kinds:
            self.alphas[kind] = nn.Parameter(1e-3 * torch.randn(num_edges, len(space.operations)))
            if design.normalization:
                self.betas[kind] = nn.Parameter(1e-3 * torch.randn(num_edges))
        #: the active operations as Python lists, which need no device access, and the resulting plans
        self._active: dict[str, list[list[bool]]] = {}
        self._plans: dict[str, Plan] = {}
        #: cached result of :meth:`movable` without sampling; a recorded step must not create it again
        self._movable: dict[nn.Parameter, Tensor] | None = None
        for kind in space.cell_kinds:
            self.register_buffer(f"active_{kind}", None, persistent=False)
            self.set_active(kind, space.allowed(kind))
        #: all normalizations; visiting all modules in every pass would take a twentieth of a small step
        self._normalizations = [m for m in self.modules() if isinstance(m, BatchNorm | nn.BatchNorm2d)]
        #: the channels selected in the last forward pass
        self.selection = Selection()
        #: whether attention selects by its running average, which no longer changes, in every pass
        self.frozen = False
        self.register_state_dict_post_hook(_to_canonical)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_from_canonical)  # type: ignore[no-untyped-call]

    def weight_parameters(self) -> list[nn.Parameter]:
        """All parameters except alphas and betas; the attention modules count as weights."""
        return [parameter for name, parameter in self.named_parameters() if not is_alpha(name)]

    def alpha_parameters(self) -> list[nn.Parameter]:
        """The architecture parameters: alphas, and betas if edges are normalized."""
        return [*self.alphas.values(), *self.betas.values()]

    def search_cells(self) -> Iterator[SearchCell]:
        """The cells, in order."""
        return (cell for cell in self.cells if isinstance(cell, SearchCell))

    @property
    def active(self) -> dict[str, Tensor]:
        """Masks of the active operations (edges, operations) by kind of cell; initially all that the space allows."""
        return {kind: self.get_buffer(f"active_{kind}") for kind in self.space.cell_kinds}

    def set_active(self, kind: str, active: Sequence[Sequence[bool]]) -> None:
        """Activate only these operations in the cells of a kind; the others are not computed and get no softmax weight.

        Args:
            kind: kind of cell.
            active: for every edge, a mask of the operations. Operations that the space forbids stay inactive.

        Raises:
            ValueError: the mask does not have a row for every edge and a value for every operation.
        """
        if [len(row) for row in active] != [len(self.space.operations)] * len(self.space.edges):
            raise ValueError(f"{len(self.space.edges)} edges with {len(self.space.operations)} operations are needed")
        allowed = self.space.allowed(kind)
        self._active[kind] = [
            [a and b for a, b in zip(*rows, strict=True)] for rows in zip(active, allowed, strict=True)
        ]
        self._movable = None
        self._plans[kind] = plan(self._active[kind], self.space.leaving)
        setattr(self, f"active_{kind}", torch.tensor(self._active[kind], device=self.classifier.weight.device))

    def operation_weights(self) -> dict[str, Tensor]:
        """Softmax of alpha over the active operations of each edge (eq. 2), (edges, operations), by kind of cell."""
        return {kind: masked_softmax(self.alphas[kind], active) for kind, active in self.active.items()}

    def edge_weights(self) -> dict[str, Tensor] | None:
        """Softmax of beta over the edges that enter each node, (edges,), by kind; None without edge normalization."""
        if not self.design.normalization:
            return None
        entering = [len(self.space.incoming(target)) for target in self.space.targets]
        return {
            kind: torch.cat([F.softmax(part, 0) for part in self.betas[kind].split(entering)])
            for kind in self.space.cell_kinds
        }

    def forward(
        self,
        x_bchw: Tensor,
        *,
        arch_weights: ArchWeights | None = None,
        selection: AttentionSource | Selection = "batch",
        update_statistics: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Logits (B, classes).

        Args:
            x_bchw: images.
            arch_weights: weights of operations and edges; None uses the softmax of alphas and betas.
            selection: source of the attention that selects channels, or the selected channels themselves.
            update_statistics: in training mode, update the running statistics of normalizations and attention.
            generator: random numbers for the selector `random`.
        """
        if arch_weights is None:
            arch_weights = ArchWeights(self.operation_weights(), self.edge_weights())
        self._track_statistics(update_statistics)
        plans = {
            kind: CellPlan(
                self._groups(kind, arch_weights.active),
                "average" if self.frozen or selection == "average" else "batch",
                self.training and update_statistics and not self.frozen,
                generator,
                arch_weights.auxiliary,
                arch_weights.skip_dropout,
                arch_weights.drop_path,
                arch_weights.constants,
            )
            for kind in self.space.cell_kinds
        }
        used = []
        # With channels last, depthwise and 1x1 convolutions are several times faster; everything below keeps this format.
        s0 = s1 = self.stem(x_bchw.contiguous(memory_format=torch.channels_last))
        for index, (kind, cell) in enumerate(zip(self.kinds, self.search_cells(), strict=True)):
            given = selection.cells[index] if isinstance(selection, Selection) else None
            beta_e = None if arch_weights.edges is None else arch_weights.edges[kind]
            if str(index) in self.reductions:
                s1 = self.reductions[str(index)](s1)
            run = partial(recomputed, cell) if self.recompute else cell
            s2, chosen = run(s0, s1, arch_weights.operations[kind], beta_e, given, plans[kind])
            s0, s1 = s1, s2
            used.append(chosen)
        self.selection = Selection(used)
        return self.classifier(self.last(s1).mean((2, 3)))  # type: ignore[no-any-return]

    def movable(self, active: Mapping[str, Tensor] | None) -> dict[nn.Parameter, Tensor]:
        """Masks of the parameter entries that take part in a pass, for parameters that take part only partially.

        An optimizer must not change the other entries, not even by momentum or weight decay.

        Args:
            active: as in :class:`ArchWeights`.

        Returns:
            Parameter -> bool tensor that broadcasts to its shape.
        """
        if active is None and self._movable is not None:
            return self._movable
        masks: dict[nn.Parameter, Tensor] = {}
        device = self.classifier.weight.device
        limits = {kind: self._limit(kind, active) for kind in self.space.cell_kinds}
        for kind, cell in zip(self.kinds, self.search_cells(), strict=True):
            for rows, edges in zip(self.space.leaving, cell.sources, strict=True):
                assert isinstance(edges, SourceEdges)
                for name, operation in edges.operations.items():
                    active_e = [limits[kind][row][self.space.operations.index(name)] for row in rows]
                    if all(active_e) or not any(active_e) or isinstance(operation, EdgeByEdge):
                        continue  # parameters of one edge take part entirely or not at all
                    mask_e = torch.tensor(active_e, device=device)
                    for parameter in operation.parameters():
                        masks[parameter] = mask_e.view(-1, *[1] * (parameter.dim() - 1))
        for kind, own in self._active.items():
            if not all(map(all, own)):
                masks[self.alphas[kind]] = self.get_buffer(f"active_{kind}")
        if active is None:
            self._movable = masks
        return masks

    def _limit(self, kind: str, active: Mapping[str, Tensor] | None) -> list[list[bool]]:
        own = self._active[kind]
        if active is None:
            return own
        pairs = zip(own, active[kind].tolist(), strict=True)
        return [[a and b for a, b in zip(*rows, strict=True)] for rows in pairs]

    def _groups(self, kind: str, active: Mapping[str, Tensor] | None) -> Plan:
        return self._plans[kind] if active is None else plan(self._limit(kind, active), self.space.leaving)

    def canonical_gradients(self) -> dict[str, Tensor]:
        """All gradients, by the names of the state dict."""
        gradients = {name: p.grad for name, p in self.named_parameters() if p.grad is not None}
        return self.names.split(gradients)

    def _track_statistics(self, track: bool) -> None:
        tracks = track or not self.training
        for norm in self._normalizations:
            if (
                norm.track_running_stats is not tracks
            ):  # assigning an attribute of a module takes much longer than reading it
                norm.track_running_stats = tracks


def _to_canonical(module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: object) -> None:
    assert isinstance(module, Supernet)
    own = {name: state.pop(name) for name in list(state) if name.startswith(prefix)}
    state.update(module.names.split(own))


def _from_canonical(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    assert isinstance(module, Supernet)
    inside = [f"{prefix}{name}" for name, _ in [*module.named_parameters(), *module.named_buffers()]]
    merged = module.names.merge(state, inside)
    state.clear()
    state.update(merged)
