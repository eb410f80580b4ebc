"""Commands that a newcomer can type next; the demo, its page and ``adarts`` alone show them."""

from __future__ import annotations

NEXT_STEPS: tuple[tuple[str, str], ...] = (
    ("your own images, one folder a class", "adarts search --data folder:PATH"),
    ("then train the network of the found cells", "adarts train --data folder:PATH"),
    ("CIFAR-10, as much as this machine can carry", "adarts search --data cifar10 --download"),
    ("the paper's search, on a GPU", "adarts search --data cifar10 --download --scale paper"),
)
"""What a command is for, and the command."""


def in_lines() -> str:
    """The commands as lines for a terminal."""
    width = max(len(command) for _, command in NEXT_STEPS)
    return "\n".join(f"  {command:<{width}}  # {what}" for what, command in NEXT_STEPS)
