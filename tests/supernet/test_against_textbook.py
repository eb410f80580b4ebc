"""The supernet is the textbook one: outputs, all gradients and all statistics, for every design of the mixed edge.

Whole networks are compared in float64: in float32 an input changed by 1e-7 can move a weight gradient by a per cent. All
edges that leave one node are compared in float32. Selections are taken from the textbook, since near ties flip top-k.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from textbook import EDGES, OPERATIONS, TextbookSupernet
from torch import Tensor

from adarts import kernels
from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.engine.update import Learned
from adarts.spaces import DARTS
from adarts.supernet import ArchWeights, Selection, Supernet
from adarts.supernet.edges import factors_of_operations, node_sum
from adarts.supernet.plan import CellPlan, plan

CHANNELS, CELLS, CLASSES, BATCH = 8, 3, 5, 3  # of three cells, the second and the third are reductions

DESIGNS = {
    "darts": {"selector": "all", "k": 1, "attention": False},
    "darts+attention": {"selector": "all", "k": 1},
    **{f"pc_darts-k{k}": {"selector": "first", "k": k, "attention": False, "normalization": True} for k in (1, 2, 4)},
    **{f"random-k{k}": {"selector": "random", "k": k, "attention": False} for k in (1, 2, 4)},
    **{f"adarts-k{k}": {"k": k} for k in (1, 2, 4)},
    **{f"adarts-node-k{k}": {"k": k, "attention_scope": "node"} for k in (1, 2, 4)},
    **{f"adarts-sample-k{k}": {"k": k, "mask_scope": "sample"} for k in (1, 2, 4)},
    "adarts-normalized": {"k": 4, "normalization": True},
    "adarts-node-sample-normalized": {
        "k": 2,
        "attention_scope": "node",
        "mask_scope": "sample",
        "normalization": True,
    },
    "first+attention": {"selector": "first", "k": 2},
    "first-unshuffled": {"selector": "first", "k": 4, "attention": False, "shuffle": False},
    "persistent-k2": {"k": 2, "slots": "persistent"},
    "drawn-once": {"selector": "random", "k": 4, "attention": False, "freeze": True},
    "random+attention": {"selector": "random", "k": 4},
}
#: with an auxiliary skip connection beside the operations
AUXILIARY = {f"auxiliary-k{k}": {"k": k, "auxiliary_skip": True, "normalization": True} for k in (1, 4)}


@pytest.fixture(autouse=True, params=["native kernels", "torch"])
def _kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "torch":
        kernels.use("torch")
    elif kernels.status().functions is None:
        pytest.skip(f"no native kernels: {kernels.status().detail}")
    yield
    kernels.use("auto")


class Pair(NamedTuple):
    textbook: TextbookSupernet
    supernet: Supernet


def make(design: str | dict[str, object], dtype: torch.dtype) -> Pair:
    """Both supernets with the same weights, alphas far from uniform, and statistics that are not the initial ones."""
    options = {**DESIGNS, **AUXILIARY}[design] if isinstance(design, str) else design
    torch.manual_seed(0)
    textbook = TextbookSupernet(CHANNELS, CELLS, CLASSES, **options)
    for alphas in textbook.alphas.values():
        torch.nn.init.normal_(alphas)
    for name, buffer in textbook.named_buffers():
        if name.endswith(("running_mean", "running_var", "average")):
            torch.nn.init.uniform_(buffer, 0.5, 1.5)
        if name.endswith("slots"):
            buffer.copy_(torch.randperm(buffer.shape[0] * options["k"])[: buffer.shape[0]])
    settings = SupernetSettings(channels=CHANNELS, cells=CELLS)
    supernet = Supernet(DARTS, settings, EdgeDesign(**options), num_classes=CLASSES, in_channels=3)
    supernet.load_state_dict(textbook.state_dict())
    return Pair(textbook.to(dtype), supernet.to(dtype))


def images(dtype: torch.dtype, height: int = 8, width: int = 8, channels: int = 3) -> Tensor:
    return torch.randn(BATCH, channels, height, width, dtype=dtype)


def selection_of(textbook: TextbookSupernet) -> Selection:
    """The textbook's choice, edge by edge, as the supernet's: one tensor (1 or batch, edges, C/k) a cell."""
    by_cell = [[textbook.selection[cell, edge] for edge in range(len(EDGES))] for cell in range(CELLS)]
    return Selection([torch.stack([torch.atleast_2d(index) for index in cell], 1) for cell in by_cell])


def assert_close(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Equal names, and tensors equal within a share of the tensor's own largest value.

    A gradient that vanishes in exact arithmetic is a sum of rounding errors: those of the largest tensor set its floor.
    """
    assert set(actual) == set(expected)
    floor = 1e-3 * tolerance * max(tensor.abs().max().item() for tensor in expected.values())
    wrong = {}
    for name, tensor in expected.items():
        assert actual[name].shape == tensor.shape, name
        error = (actual[name] - tensor).abs().max().item()
        if not error <= floor + tolerance * tensor.abs().max().item():
            wrong[name] = error
    assert wrong == {}


def assert_same_selection(supernet: Supernet, textbook: TextbookSupernet) -> None:
    for ours, theirs in zip(supernet.selection.cells, selection_of(textbook).cells, strict=True):
        assert torch.equal(ours, theirs)


def gradients(textbook: TextbookSupernet) -> dict[str, Tensor]:
    return {name: parameter.grad for name, parameter in textbook.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("design", DESIGNS)
def test_output_gradients_and_statistics_of_a_training_pass(design: str) -> None:
    textbook, supernet = make(design, torch.float64)
    x, direction = images(torch.float64), torch.randn(BATCH, CLASSES, dtype=torch.float64)
    expected = textbook(x)
    (expected * direction).sum().backward()
    actual = supernet(x, selection=selection_of(textbook))
    (actual * direction).sum().backward()
    assert_close({"output": actual}, {"output": expected}, 1e-9)
    expected_gradients = gradients(textbook)
    assert len(expected_gradients) == len(list(textbook.parameters()))
    assert_close(supernet.canonical_gradients(), expected_gradients, 1e-9)
    assert_close(supernet.state_dict(), textbook.state_dict(), 1e-9)
    assert_same_selection(supernet, textbook)


@pytest.mark.parametrize("design", ["darts", "pc_darts-k2", "random-k2", "adarts-k4", "adarts-sample-k2"])
def test_images_of_odd_sides(design: str) -> None:
    textbook, supernet = make(design, torch.float64)
    x = images(torch.float64, 9, 7)
    expected = textbook(x)
    expected.square().sum().backward()
    actual = supernet(x, selection=selection_of(textbook))
    actual.square().sum().backward()
    assert_close({"output": actual}, {"output": expected}, 1e-9)
    assert_close(supernet.canonical_gradients(), gradients(textbook), 1e-9)


@pytest.mark.parametrize("design", [name for name in DESIGNS if "random" not in name])
def test_both_choose_the_same_channels_by_themselves(design: str) -> None:
    textbook, supernet = make(design, torch.float64)
    x = images(torch.float64)
    expected, actual = textbook(x), supernet(x)
    assert_close({"output": actual}, {"output": expected}, 1e-9)
    assert_same_selection(supernet, textbook)
    # Evaluation: statistics gathered so far; one mask for a batch comes from the average, one for an image from itself.
    source = "batch" if DESIGNS[design].get("mask_scope") == "sample" else "average"
    if DESIGNS[design].get("selector", "attention") != "attention":
        source = "batch"
    textbook.eval(), supernet.eval()
    expected, actual = textbook(x), supernet(x, selection=source)
    assert_close({"output": actual}, {"output": expected}, 1e-9)
    assert_same_selection(supernet, textbook)


#: designs whose channels no longer change after the warm-up
FROZEN: dict[str, dict[str, object]] = {
    "sorted": {"k": 4, "freeze": True},
    "persistent": {"k": 2, "freeze": True, "slots": "persistent", "attention_scope": "node"},
}


@pytest.mark.parametrize("design", FROZEN)
def test_channels_that_stay_after_the_warm_up(design: str) -> None:
    textbook, supernet = make(FROZEN[design], torch.float64)
    x = images(torch.float64)
    textbook(x), supernet(x)
    assert_same_selection(supernet, textbook)
    textbook.end_warmup()
    supernet.frozen = True
    for _ in range(2):
        x = images(torch.float64)
        expected, actual = textbook(x), supernet(x)
        assert_close({"output": actual}, {"output": expected}, 1e-9)
        assert_same_selection(supernet, textbook)
    expected.square().sum().backward(), actual.square().sum().backward()
    assert_close(supernet.canonical_gradients(), gradients(textbook), 1e-9)
    assert_close(supernet.state_dict(), textbook.state_dict(), 1e-9)


def some_active(each: int, generator: torch.Generator) -> Tensor:
    """So many active operations on every edge; edges without any, and neighbors that agree, among them."""
    active = torch.rand(len(EDGES), len(OPERATIONS), generator=generator).argsort(1) < each
    active[3], active[6] = active[2], False
    return active


@pytest.mark.parametrize("sampled", [False, True], ids=["pruned", "sampled"])
@pytest.mark.parametrize("each", [1, *(pytest.param(each, marks=pytest.mark.full) for each in (3, 8))])
@pytest.mark.parametrize(
    "design", ["darts", "darts+attention", "pc_darts-k2", "adarts-k4", "adarts-sample-k2", *AUXILIARY]
)
def test_what_is_not_active_is_worth_nothing_and_gets_nothing(design: str, each: int, sampled: bool) -> None:
    textbook, supernet = make(design, torch.float64)
    generator = torch.Generator().manual_seed(each)
    active = {kind: some_active(each, generator) for kind in ("normal", "reduction")}
    weights = {
        kind: torch.rand(len(EDGES), len(OPERATIONS), dtype=torch.float64, generator=generator) * active[kind]
        for kind in active
    }
    auxiliary = 0.7 if design in AUXILIARY else 0.0
    ours, theirs = ({kind: w.clone().requires_grad_() for kind, w in weights.items()} for _ in range(2))
    with_auxiliary = theirs
    if auxiliary:
        with_auxiliary = {kind: F.pad(w, (0, 1), value=auxiliary) for kind, w in theirs.items()}
    x = images(torch.float64)
    expected = textbook(x, operation_weights=with_auxiliary)
    expected.square().sum().backward()
    if not sampled:
        for kind in active:
            supernet.set_active(kind, active[kind].tolist())
    arch_weights = ArchWeights(ours, supernet.edge_weights(), active if sampled else None, auxiliary)
    actual = supernet(x, arch_weights=arch_weights, selection=selection_of(textbook))
    actual.square().sum().backward()
    assert_close({"output": actual}, {"output": expected}, 1e-9)

    expected_gradients, state, now = gradients(textbook), textbook.state_dict(), supernet.state_dict()
    found = supernet.canonical_gradients()
    fresh = make(design, torch.float64).supernet.state_dict()
    for name in [name for name in state if ".operations." in name]:
        cell, (source, target), operation = (int(name.split(".")[1]), name.split(".")[3].split("_"), name.split(".")[5])
        kind = supernet.kinds[cell]
        if active[kind][EDGES.index((int(source), int(target))), OPERATIONS.index(operation)]:
            continue
        assert torch.equal(now.pop(name), fresh[name]), name  # no statistics
        state.pop(name)
        if name in expected_gradients:
            expected_gradients.pop(name)
            assert name not in found or not found.pop(name).any(), name
    assert_close(now, state, 1e-9)
    alphas = [name for name in found if name.startswith("alphas.")]
    assert alphas == []
    assert_close(found, {name: g for name, g in expected_gradients.items() if not name.startswith("alphas.")}, 1e-9)
    for kind, weight in ours.items():
        gradient = theirs[kind].grad * active[kind]
        assert_close({"weights": weight.grad}, {"weights": gradient}, 1e-9)


def test_an_optimizer_leaves_alone_what_takes_no_part() -> None:
    """Two steps of SGD with momentum and decay, another operation active in each: as if each were a network of its own."""
    supernet = make("darts", torch.float64).supernet
    weights = supernet.weight_parameters()
    optimizer = torch.optim.SGD(weights, 0.1, 0.9, weight_decay=0.1)
    learned = Learned(optimizer, "the weights")
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        active = {kind: some_active(2, generator) for kind in supernet.space.cell_kinds}
        arch_weights = ArchWeights(supernet.operation_weights(), None, active)
        optimizer.zero_grad()
        supernet(images(torch.float64), arch_weights=arch_weights).square().sum().backward()
        before = {name: (p.detach().clone(), momentum(optimizer, p)) for name, p in supernet.named_parameters()}
        learned.step(supernet.movable(active))
        after = supernet.names.split({name: p.detach() for name, p in supernet.named_parameters()})
        old = supernet.names.split({name: p for name, (p, _) in before.items()})
        memory = supernet.names.split({name: momentum(optimizer, p) for name, p in supernet.named_parameters()})
        old_memory = supernet.names.split({name: m for name, (_, m) in before.items()})
        grads = supernet.canonical_gradients()
        for name in (name for name in after if ".operations." in name):
            edge, operation = name.split(".")[3].split("_"), name.split(".")[5]
            kind = supernet.kinds[int(name.split(".")[1])]
            row = EDGES.index((int(edge[0]), int(edge[1])))
            if active[kind][row, OPERATIONS.index(operation)]:
                direction = 0.9 * old_memory[name] + grads[name] + 0.1 * old[name]
                torch.testing.assert_close(memory[name], direction)
                torch.testing.assert_close(after[name], old[name] - 0.1 * direction)
            else:
                assert torch.equal(after[name], old[name]) and torch.equal(memory[name], old_memory[name]), name


def momentum(optimizer: torch.optim.SGD, parameter: Tensor) -> Tensor:
    buffer = optimizer.state.get(parameter, {}).get("momentum_buffer")
    return torch.zeros_like(parameter) if buffer is None else buffer.clone()


SINGLE = ["darts", "darts+attention", "pc_darts-k4", "random-k2", "adarts-k1", "adarts-k2", "adarts-k4"]
SINGLE += ["adarts-sample-k2", "adarts-normalized", "first+attention"]


@pytest.mark.parametrize("design", SINGLE)
def test_edges_that_leave_a_node_in_single_precision(design: str) -> None:
    textbook, supernet = make(design, torch.float32)
    for cell, source in ((0, 0), (0, 3), (1, 0), (1, 3)):  # stride 1, but 2 from the inputs of the second cell
        compare_edges(textbook, supernet, cell, source)
        textbook.zero_grad(), supernet.zero_grad()


def compare_edges(textbook: TextbookSupernet, supernet: Supernet, cell: int, source: int) -> None:
    """Outputs and all gradients of the mixed edges that leave one node, random feature maps coming in."""
    kind, fast_cell = supernet.kinds[cell], supernet.cells[cell]
    x_textbook = images(torch.float32, channels=supernet.cell_channels[cell]).requires_grad_()
    x_supernet = x_textbook.detach().clone().requires_grad_()
    rows = [row for row, (start, _) in enumerate(EDGES) if start == source]

    expected, indices = [], []
    beta_e = textbook.edge_weights(kind)
    for row in rows:
        edge = textbook.cells[cell].edges["{}_{}".format(*EDGES[row])]
        y, index = edge(x_textbook, None, textbook.operation_weights(kind)[row], None)
        expected.append(y if beta_e is None else beta_e[row] * y)
        indices.append(torch.atleast_2d(index))
    beta = supernet.edge_weights()
    beta_e = None if beta is None else beta[kind][rows]
    actual, *_ = fast_cell.sources[source](
        x_supernet,
        factors_of_operations(supernet.operation_weights()[kind][rows], beta_e, fast_cell.selected),
        beta_e,
        torch.stack(indices, 1),
        source,
        CellPlan(plan([[True] * len(OPERATIONS)] * len(EDGES), fast_cell.rows), update_average=True),
        [],
    )
    # Each edge as if it were the only one that enters its node; the supernet shuffles the node.
    actual = [fast_cell._shuffle(node_sum([addend])) for addend in actual]

    directions = [torch.randn_like(y) for y in expected]
    for outputs in (expected, actual):
        sum((y * direction).sum() for y, direction in zip(outputs, directions, strict=True)).backward()
    for fast, literal in zip(actual, expected, strict=True):
        assert_close({"output": fast}, {"output": literal}, 1e-4)
    assert_close({"input": x_supernet.grad}, {"input": x_textbook.grad}, 1e-4)
    assert_close(supernet.canonical_gradients(), gradients(textbook), 1e-4)
