"""The controller of ENAS: an LSTM that writes cells word by word and learns by REINFORCE.

Shape suffixes: b samples, s words of a sample, n options of a word, o operations, u units.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from adarts.config.settings import Settings
from adarts.searchers.base import Searcher, SearcherInfo, Trial
from adarts.searchers.registry import register
from adarts.seeding import dice, generator
from adarts.spaces import CellGenotype, Genotype, Space


@dataclass(frozen=True)
class Design:
    """The published values of a controller.

    Attributes:
        units: units of the LSTM.
        layers: its layers.
        bias: whether its layers have a bias.
        source_range: source logits are this number times the tanh of what is computed.
        operation_range: the same for operation logits.
        temperature: what is computed for operations is divided by it before the tanh.
        start: first bias of the operations with weights; 0 for the others.
        preference: constant added to their logits in the first kind of cell, and subtracted from those of the others.
        samples: trials of an update.
        learning_rate: of Adam.
        beta1: of Adam.
        clip: largest norm of the gradient, or None.
        baseline: value of the baseline before the first reward; None starts at that reward.
    """

    units: int
    layers: int
    bias: bool
    source_range: float
    operation_range: float
    temperature: float
    start: float
    preference: float
    samples: int
    learning_rate: float
    beta1: float
    clip: float | None
    baseline: float | None


ENAS = Design(64, 1, False, 1.10, 0.44, 1.0, 10.0, 0.25, 10, 0.0035, 0.0, None, 0.0)
"""The micro search of the authors' code (melodyguan/enas), for spaces whose nodes choose their sources."""

PER_EDGE = Design(32, 2, True, 0.0, 2.5, 5.0, 0.0, 0.0, 20, 0.001, 0.5, 5.0, None)
"""NAS-Bench-201's code (D-X-Y/AutoDL-Projects), for spaces that keep every edge."""


class EnasOptions(Settings):
    """The controller's learning."""

    samples: PositiveInt | None = None
    """Trials of an update; none: 10, as ENAS has, or 20 in spaces that keep every edge, as NAS-Bench-201's code has."""
    learning_rate: PositiveFloat | None = None
    """Learning rate of Adam; none: 0.0035, or 0.001 in spaces that keep every edge."""
    entropy: NonNegativeFloat = 0.0001
    """Weight of the entropy, which is added to the reward."""
    decay: float = Field(default=0.99, ge=0, lt=1)
    """Decay of the moving average that is subtracted from the reward."""
    last: PositiveInt = 100
    """Trials among which the result is chosen, counted from the last one; earlier scores belong to other shared weights."""


@register
class Enas(Searcher):
    """An LSTM writes the sources and operations of every node; batches of scores move its weights.

    As published: LSTM and its start, attention over earlier nodes for the sources, ranges of the logits, Adam, and the preference
    for operations with weights in the normal cell (their first bias saturates the tanh, so it hardly learns). The reward is the
    score / 100 plus the entropy, which has no gradient. The baseline takes in a reward before it is subtracted from it.
    Spaces that keep every edge have the controller of NAS-Bench-201's code, which writes one operation for each edge. Two of its
    faults are not copied: the sign of the entropy's gradient, and a baseline that stands still during an epoch.
    All its weights start in [-0.1, 0.1]; there, those of the second layer and the biases start as torch's do.
    Lost in spaces of the DARTS kind: nodes that read a source twice, a fifth node, and loose ends as the only outputs.
    """

    info = SearcherInfo(
        name="enas",
        title="ENAS controller",
        year=2018,
        paper="Pham et al., ICML 2018; in NAS-Bench-201 Dong and Yang, ICLR 2020",
        changes="an LSTM writes the cells and learns from batches of scores",
    )
    Options = EnasOptions
    options: EnasOptions

    def __init__(self, space: Space, seed: int, options: Settings | None = None) -> None:
        super().__init__(space, seed, options)
        self.controller = Controller(space, seed)
        design = self.controller.design
        self.samples = self.options.samples or design.samples
        self.optimizer = torch.optim.Adam(
            self.controller.parameters(),
            lr=self.options.learning_rate or design.learning_rate,
            betas=(design.beta1, 0.999),
            eps=1e-3,
        )
        self.baseline = design.baseline
        self.recent: list[Trial] = []
        #: the words of the trials since the last update, whose scores are the last ones of `recent`
        self.words: list[list[int]] = []
        self._known: tuple[int, list[int]] | None = None  # the proposal that was written last, and its words

    def block(self, number: int) -> int:
        """The rest of the trials of an update."""
        return self.samples - len(self.words)

    def ask(self, number: int) -> Genotype:
        return self.controller.cells(self._written(number))

    def tell(self, trial: Trial) -> None:
        self.words.append(self._written(trial.number))
        self.recent = [*self.recent, trial][-max(self.options.last, self.samples) :]
        if len(self.words) == self.samples:
            self._learn([trial.score.value / 100 for trial in self.recent[-self.samples :]])
            self.words = []

    def found(self) -> list[Genotype]:
        """The distinct cells of the last trials, highest score first."""
        by_score = sorted(self.recent[-self.options.last :], key=lambda trial: -trial.score.value)
        return list(dict.fromkeys(trial.genotype for trial in by_score))

    def state_dict(self) -> dict[str, Any]:
        return {
            "controller": {name: tensor.clone() for name, tensor in self.controller.state_dict().items()},
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "baseline": self.baseline,
            "recent": [trial.to_dict() for trial in self.recent],
            "words": [list(words) for words in self.words],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.controller.load_state_dict(state["controller"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.baseline = state["baseline"]
        self.recent = [Trial.from_dict(trial) for trial in state["recent"]]
        self.words = [list(words) for words in state["words"]]
        self._known = None

    def _written(self, number: int) -> list[int]:
        """The words of a proposal."""
        if self._known is None or self._known[0] != number:
            random = dice(self.seed, "proposal", number)

            def draw(_: int, log_bn: Tensor) -> Tensor:
                weights = log_bn[0].exp().tolist()
                return torch.tensor(random.choices(range(len(weights)), weights))

            with torch.no_grad():
                self._known = number, self.controller(1, draw)[0][0].tolist()
        return self._known[1]

    def _learn(self, scores: list[float]) -> None:
        """One update with the scores of the collected trials."""
        words_bs = torch.tensor(self.words)
        _, logs = self.controller(len(scores), lambda word, _: words_bs[:, word])
        log_b = torch.stack([log_bn.gather(1, words_bs[:, [word]])[:, 0] for word, log_bn in enumerate(logs)]).sum(0)
        entropy_b = -torch.stack([(log_bn.exp() * log_bn.nan_to_num()).sum(1) for log_bn in logs]).sum(0)
        advantages = []
        for score, entropy in zip(scores, entropy_b.tolist(), strict=True):
            reward = score + self.options.entropy * entropy
            before = reward if self.baseline is None else self.baseline
            self.baseline = self.options.decay * before + (1 - self.options.decay) * reward
            advantages.append(reward - self.baseline)
        self.optimizer.zero_grad()
        (-log_b * torch.tensor(advantages)).mean().backward()
        if self.controller.design.clip is not None:
            nn.utils.clip_grad_norm_(self.controller.parameters(), self.controller.design.clip)
        self.optimizer.step()
        self._known = None


Pick = Callable[[int, Tensor], Tensor]
"""(number of the word, log-probabilities of its options (b, n)) -> the chosen options (b,)."""


class Controller(nn.Module):
    """An LSTM that writes cells: for each node its sources, if it has a choice, then the operations on its edges.

    Args:
        space: the search space.
        seed: seed of the first weights.

    Attributes:
        design: its published values.
        length: words of a sample.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self.space = space
        self.design = design = PER_EDGE if space.kept_edges is None else ENAS
        units = design.units
        kept = sum(space.num_kept(target) for target in space.targets)
        self.length = len(space.cell_kinds) * kept * (1 if space.kept_edges is None else 2)
        self.lstm = nn.ModuleList(nn.LSTMCell(units, units, design.bias) for _ in range(design.layers))
        self.start = nn.Parameter(torch.empty(1, units))
        self.embedding = nn.Parameter(torch.empty(len(space.operations), units))
        self.operation = nn.Linear(units, len(space.operations))
        if space.kept_edges is not None:
            self.key, self.query = (nn.Linear(units, units, bias=False) for _ in range(2))
            self.attention = nn.Linear(units, 1, bias=False)
        random = generator(seed, "controller")
        weighted_o = torch.tensor([name not in space.weight_free for name in space.operations])
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-0.1, 0.1, generator=random)
            self.operation.bias.copy_(design.start * weighted_o)
        self.preference_o = design.preference * (2.0 * weighted_o - 1)
        self.allowed = {
            (kind, target): torch.tensor(
                [[name in space.choices[kind][source, target] for name in space.operations] for source in range(target)]
            )
            for kind in space.cell_kinds
            for target in space.targets
        }

    def forward(self, samples: int, pick: Pick) -> tuple[Tensor, list[Tensor]]:
        """Write samples word by word.

        Args:
            samples: their number.
            pick: chooses each word.

        Returns:
            The words (b, s), and for each word the log-probabilities of its options (b, n).
        """
        space, design = self.space, self.design
        words, logs = list[Tensor](), list[Tensor]()
        memory = [(torch.zeros(samples, design.units), torch.zeros(samples, design.units)) for _ in self.lstm]
        start_bu, numbers_b = self.start.expand(samples, design.units), torch.arange(samples)

        def read(x_bu: Tensor) -> Tensor:
            for layer, cell in enumerate(self.lstm):
                memory[layer] = cell(x_bu, memory[layer])
                x_bu = memory[layer][0]
            return x_bu

        def write(logits_bn: Tensor, possible_bn: Tensor) -> Tensor:
            logs.append(logits_bn.masked_fill(~possible_bn, -torch.inf).log_softmax(1))
            words.append(pick(len(words), logs[-1]))
            return words[-1]

        def write_operation(kind: str, target: int, source_b: Tensor, x_bu: Tensor) -> Tensor:
            logits_bo = design.operation_range * (self.operation(read(x_bu)) / design.temperature).tanh()
            if kind == space.cell_kinds[0]:
                logits_bo = logits_bo + self.preference_o
            return self.embedding[write(logits_bo, self.allowed[kind, target][source_b])]

        for kind in space.cell_kinds:
            x_bu = start_bu
            if space.kept_edges is None:
                for source, target in space.edges:
                    x_bu = write_operation(kind, target, torch.full_like(numbers_b, source), x_bu)
                continue
            nodes_bnu = torch.zeros(samples, space.num_inputs, design.units)
            keys_bnu = torch.stack([self.key(read(start_bu)) for _ in range(space.num_inputs)], 1)
            for target in space.targets:
                free_bn, sources = torch.ones(samples, target, dtype=torch.bool), list[Tensor]()
                for _ in range(space.num_kept(target)):
                    found_bnu = (keys_bnu + self.query(read(x_bu))[:, None]).tanh()
                    logits_bn = design.source_range * self.attention(found_bnu)[:, :, 0].tanh()
                    sources.append(write(logits_bn, free_bn))
                    free_bn = free_bn.scatter(1, sources[-1][:, None], False)
                    x_bu = nodes_bnu[numbers_b, sources[-1]]
                for source_b in sources:
                    x_bu = write_operation(kind, target, source_b, x_bu)
                node_bu, x_bu = read(x_bu), start_bu
                nodes_bnu = torch.cat([nodes_bnu, node_bu[:, None]], 1)
                keys_bnu = torch.cat([keys_bnu, self.key(node_bu)[:, None]], 1)
        return torch.stack(words, 1), logs

    def cells(self, words: list[int]) -> Genotype:
        """The cells that a sample describes."""
        space, rest, cells = self.space, iter(words), {}
        for kind in space.cell_kinds:
            nodes = []
            for target in space.targets:
                sources = list(range(space.num_kept(target)))
                if space.kept_edges is not None:
                    sources = [next(rest) for _ in sources]
                pairs = sorted((source, space.operations[next(rest)]) for source in sources)
                nodes.append(tuple((name, source) for source, name in pairs if name != "none"))
            cells[kind] = CellGenotype(tuple(nodes), space.outputs)
        return Genotype(cells, space.name)
