"""The templates of the report, and the environment they are rendered in."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

# Everything is escaped, whatever a template is called: class names and paths come from outside.
ENVIRONMENT = Environment(
    loader=PackageLoader("adarts.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
