"""A search method of one's own: DARTS whose softmax gets sharper from epoch to epoch.

adarts search --data digits --scale smoke --method examples/sharpening.py:Sharpening --options final=0.1
"""

from pydantic import PositiveFloat

from adarts.config.settings import Settings
from adarts.methods import Method, MethodInfo


class Sharpening(Method):
    """Weights of the operations: softmax(alpha / tau), where tau falls from 1 to its final value along the search."""

    info = MethodInfo(
        name="sharpening",
        title="DARTS with a falling temperature",
        year=2026,
        paper="none: an example",
        changes="the softmax is undecided at first, and close to a choice in the end",
        cost="as darts",
        defaults={"edge": {"selector": "all", "k": 1, "attention": False}},
        replay="epoch",  # the temperature changes with the epoch, so a GPU may repeat a recorded step no longer
    )

    class Options(Settings):
        final: PositiveFloat = 0.2
        """Temperature of the last epoch."""

    options: Options

    def sample(self, alpha_eo, active_eo, progress):
        return self.weights(alpha_eo / progress.line(1.0, self.options.final), active_eo)
