"""Your own search method: DARTS with a softmax that becomes sharper from epoch to epoch.

adarts search --data digits --scale smoke --method examples/sharpening.py:Sharpening --options final=0.1
"""

from pydantic import PositiveFloat

from adarts.config.settings import Settings
from adarts.methods import Method, MethodInfo


class Sharpening(Method):
    """Operation weights are softmax(alpha / tau); tau falls linearly from 1 to its final value during the search."""

    info = MethodInfo(
        name="sharpening",
        title="DARTS with a falling temperature",
        year=2026,
        paper="none: an example",
        changes="a softmax with a falling temperature",
        cost="as darts",
        defaults={"edge": {"selector": "all", "k": 1, "attention": False}},
        replay="epoch",  # the temperature changes every epoch, so a GPU may replay a step only within one
    )

    class Options(Settings):
        final: PositiveFloat = 0.2
        """Temperature of the last epoch."""

    options: Options

    def sample(self, alpha_eo, active_eo, progress):
        return self.weights(alpha_eo / progress.line(1.0, self.options.final), active_eo)
