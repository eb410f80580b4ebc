"""An extension of griffe, which reads the docstrings for the site: Sphinx's roles become links of mkdocstrings."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`(~?)([\w.]+)`")


class Roles(griffe.Extension):
    """Turns ``:class:`~package.Name` `` into a link that shows `Name`; without the tilde it shows the whole path."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = ROLE.sub(link, obj.docstring.value)


def link(role: re.Match[str]) -> str:
    """The link in place of a role; plain code if the site has no such name."""
    shown = role[2].rpartition(".")[2] if role[1] else role[2]
    return f'<autoref optional identifier="{role[2]}"><code>{shown}</code></autoref>'
