"""Every method of the registry keeps the contract, and its pass is the textbook's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from textbook import EDGES, OPERATIONS, TextbookSupernet
from torch import Tensor

from adarts.methods import get_method, list_methods
from adarts.searching import SearchTask
from adarts.supernet import ArchWeights
from adarts.testing import MethodContract

#: what a method needs besides its class
PARTICULARS: Mapping[str, Mapping[str, Any]] = {
    # The projection measures the supernet 240 times; 100 times with three operations. As few images as there can be.
    "darts-pt": {"settings": {"space": "s3", "images": {"per_class": 2, "size": 8}}},
    # One short trial for every edge, in a network as small as that of the search.
    "adarts-trials": {"settings": {"options": {"cells": 3, "epochs": 1}, "images": {"per_class": 2, "size": 8}}},
    "trials": {"settings": {"search": {"steps": 4}, "options": {"steps": 1, "drawn": 2}}},
    "gdas": {"steps_to_every_alpha": 6},  # an edge that draws `none` learns nothing in that pass
}

#: the space and the images of methods that score single cells, whose trainings and measurements are many
FEW: Mapping[str, Any] = {"space": "s3", "images": {"per_class": 2, "size": 8}}


class TextbookContract(MethodContract):
    """The contract, with the textbook supernet as the oracle."""

    def oracle(self, search: SearchTask, x_bchw: Tensor, arch_weights: ArchWeights) -> Tensor:
        net, phase = search.supernet, search.phases[0]
        textbook = TextbookSupernet(
            phase.supernet.channels,
            phase.supernet.cells,
            search.data.num_classes,
            search.data.in_channels,
            **phase.edge.model_dump(),
        ).double()
        # The textbook is given the operation weights, and 0 for the operations that are not of the space.
        state = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith("alphas.")}
        differ = textbook.load_state_dict(state, strict=False)
        absent = set(OPERATIONS) - set(net.space.operations)
        own = [name for name in differ.missing_keys if absent.isdisjoint(name.split("."))]
        assert not differ.unexpected_keys and own == ["alphas.normal", "alphas.reduction"]
        operations = arch_weights.operations
        if arch_weights.active is not None:  # what is not computed has no gradient either
            operations = {kind: w * arch_weights.active[kind] for kind, w in operations.items()}
        columns = torch.tensor([OPERATIONS.index(name) for name in net.space.operations])
        operations = {
            kind: w.new_zeros(len(EDGES), len(OPERATIONS)).index_copy(1, columns, w) for kind, w in operations.items()
        }
        if phase.edge.auxiliary_skip:
            operations = {kind: F.pad(w, (0, 1), value=arch_weights.auxiliary) for kind, w in operations.items()}
        selection = {
            (cell, edge): indices[:, edge].squeeze(0)
            for cell, indices in enumerate(net.selection.cells)
            for edge in range(len(EDGES))
        }
        return textbook(x_bchw, selection, operations)


for _info in list_methods():
    _name = f"Test_{_info.name.replace('-', '_')}"
    _needs = {} if _info.family == "gradient" else {"settings": FEW}
    globals()[_name] = type(
        _name,
        (TextbookContract,),
        {"method": get_method(_info.name), **PARTICULARS.get(_info.name, _needs)},
    )
