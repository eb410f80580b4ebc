"""A folder for the Hugging Face Hub: weights, configuration, and a card that says what the network is and is not."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from adarts.errors import ConfigError
from adarts.export.facts import Facts
from adarts.export.loaded import Logits, Pixels
from adarts.export.parity import Answer
from adarts.export.templates import ENVIRONMENT
from adarts.export.trained import Deployed, Trained
from adarts.spaces import Genotype
from adarts.training.model import network_from

try:
    from huggingface_hub import ModelCard, PyTorchModelHubMixin
except ImportError:
    raise ConfigError("--to hub needs huggingface_hub: pip install 'adarts[hub]'") from None


class HubModel(Deployed, PyTorchModelHubMixin):
    """A trained network from the Hub or a folder: ``HubModel.from_pretrained("NAME")``, then ``push_to_hub("NAME")``.

    It takes uint8 images (batch, channels, height, width) and returns logits.

    Args:
        facts: as of :meth:`Facts.to_dict`.
        details: content of ``model.json``.
        genotype: the cells as JSON; None for a network that has a name.
        summary: content of ``summary.json``, for the card.
    """

    def __init__(
        self, facts: dict[str, Any], details: dict[str, Any], genotype: dict[str, Any] | None, summary: dict[str, Any]
    ) -> None:
        found = Facts.of(facts, details)
        network = network_from(details, None if genotype is None else Genotype.from_dict(genotype))
        super().__init__(network, found)
        self.facts, self.details, self.summary = found, details, summary

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The card, from the facts and the summary of the training."""
        text = ENVIRONMENT.get_template("model_card.md.jinja").render(
            facts=self.facts, details=self.details, summary=self.summary, data=dict(self.summary["data_facts"])
        )
        return ModelCard(text)


def write_hub(trained: Trained, path: Path) -> Answer:
    """Write ``config.json``, ``model.safetensors`` and ``README.md``; return the network that is loaded from them."""
    genotype = trained.genotype
    summary = {name: value for name, value in trained.summary.items() if name != "data"}  # may be a path
    described = trained.facts.to_dict(), trained.details, None if genotype is None else genotype.to_dict(), summary
    model = HubModel(*described)
    model.network.load_state_dict(trained.network.state_dict())
    model.save_pretrained(path)
    with redirect_stdout(StringIO()):  # it prints that it reads a folder
        loaded = HubModel.from_pretrained(path, strict=True)

    def answer(pixels_bchw: Pixels) -> Logits:
        with torch.inference_mode():
            logits: Logits = loaded(torch.from_numpy(pixels_bchw)).numpy()
        return logits

    return answer
