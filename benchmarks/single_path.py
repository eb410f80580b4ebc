#!/usr/bin/env python
"""A training step of a single path of the supernet beside one of a plain network of the same cells: prints one JSON line.

    python benchmarks/single_path.py --genotype ADARTS_V1 --repeats 5

A trial, GDAS and the discrete evaluations train single paths. Both have the same channels and cells, all channels enter the
operations, and both take the same steps of SGD on the same images: forward pass, backward pass, update of the weights that take
part. `ratio` is the time of the path over that of the network.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from statistics import median

import torch
from measure import in_turn, parser, provenance, ratio
from steps import CLASSES
from torch import Tensor, nn
from torch.nn import functional as F

from adarts.config.settings import EdgeDesign, RunSettings, SupernetSettings
from adarts.engine import prepare_device
from adarts.errors import AdartsError
from adarts.models import Network
from adarts.spaces import DARTS
from adarts.supernet import Supernet
from adarts.supernet.single import only
from adarts.training.model import resolve_genotype


def training_step(
    net: nn.Module, logits: Callable[[Tensor], Tensor], x_bchw: Tensor, y_b: Tensor
) -> Callable[[], None]:
    """A step of SGD on these images."""
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=3e-4)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(logits(x_bchw), y_b).backward()
        optimizer.step()

    return step


def main() -> int:
    options = parser(__doc__)
    options.add_argument(
        "--genotype", default="ADARTS_V1", help="what `adarts train --genotype` takes, in the DARTS space"
    )
    chosen = options.parse_args()
    try:
        cells = resolve_genotype(chosen.genotype)
        device = prepare_device(RunSettings(device=chosen.device, threads=chosen.threads))
    except AdartsError as error:
        print("single_path:", error, file=sys.stderr)
        return error.exit_code
    torch.manual_seed(0)
    sizes = SupernetSettings(channels=chosen.channels, cells=chosen.cells)
    supernet = Supernet(DARTS, sizes, EdgeDesign(selector="all", k=1, attention=False), CLASSES).to(device)
    for parameter in supernet.alpha_parameters():
        parameter.requires_grad_(False)
    network = Network(cells, CLASSES, chosen.channels, chosen.cells).to(device)
    x_bchw = torch.randn(chosen.batch, 3, chosen.size, chosen.size, device=device)
    y_b = torch.arange(chosen.batch, device=device) % CLASSES
    steps = {
        "path": training_step(supernet, lambda x: supernet(x, arch_weights=only(supernet, cells)), x_bchw, y_b),
        "network": training_step(network, lambda x: network(x), x_bchw, y_b),
    }
    rounds = in_turn(steps, chosen.repeats, device)
    middle, within = ratio(rounds["path"], rounds["network"])
    seconds = {name: median(mine) for name, mine in rounds.items()}
    print(
        json.dumps(
            {
                "ratio": middle,
                "ratio_range": within,
                "seconds": seconds,
                "rounds": rounds,
                "batch": chosen.batch,
                "size": chosen.size,
                "provenance": provenance(device),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
