"""Numbers in words."""

from __future__ import annotations


def count(value: float) -> str:
    """A large number with three figures, e.g. 2.90 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"
    return f"{value:g}"


def grouped(value: float) -> str:
    """A value of a chart with its thousands set apart, where there are any."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def exact(value: int) -> str:
    """A whole number with its thousands set apart."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """A time, e.g. 1 h 23 min."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
