"""The templates of the report and their Jinja environment."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

# Escape everything in every template, because class names and paths may contain markup.
ENVIRONMENT = Environment(
    loader=PackageLoader("adarts.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
