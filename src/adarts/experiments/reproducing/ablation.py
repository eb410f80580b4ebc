"""The searches that Table II and Figs. 1, 8 and 9 share: the ablation of ADARTS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A row of the ablation.

    Attributes:
        title: its name.
        method: the method here.
        published: size in millions, GPU days, and errors on CIFAR-10 and CIFAR-100 in percent, as printed in Table II; None if
            the paper has no such row.
        note: what to know.
    """

    title: str
    method: str
    published: tuple[float, float, float, float] | None
    note: str = ""


DARTS = Form(
    "DARTS",
    "darts",
    (3.3, 4.0, 2.76, 17.54),
    "The published figures are those of second order in Table I. Here it is first order, as all other rows.",
)
FIXED = Form(
    "DARTS + random partial connection, fixed",
    "darts-random",
    (3.4, 0.1, 2.71, 17.42),
    "The paper does not say how channels are drawn. This is the form of PC-DARTS's code: always the same channels.",
)
MOVING = Form(
    "DARTS + random partial connection, moving",
    "darts-random-moving",
    None,
    "The other reading of the paper: channels drawn anew in every pass. The paper has one row for both.",
)
ATTENTION = Form("DARTS + attention mechanism", "darts-attention", (3.1, 0.6, 2.67, 17.47))
ADARTS = Form("ADARTS", "adarts", (2.9, 0.2, 2.46, 17.06))

ABLATION = (DARTS, FIXED, MOVING, ATTENTION, ADARTS)
"""The rows of Table II."""

BY_EPOCH = (DARTS, FIXED, MOVING, ADARTS)
"""The curves of Fig. 9."""
