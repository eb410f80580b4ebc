"""Inputs that look like a good one, until they do not: documents with other values in some places, and bytes with other bytes."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

Input = st.SearchStrategy[bytes]

_TEXTS = (
    "",
    "0",
    "-1",
    "none",
    "../../../escaped",
    "/dev/null",
    "\0",
    "\ud800",
    "\x1b[31m",
    "a\nb",
    "<b>&amp;",
    "x" * 3000,
)
_NUMBERS = (0, -1, 1, 3, 2**31, 2**63, -(2**70), 10**400, 0.5, 1e308, -0.0, float("nan"), float("inf"))
_PLAIN = (
    None,
    True,
    False,
    *_NUMBERS,
    *_TEXTS,
    [],
    {},
    [[]],
    [None],
    {"": None},
    [1, "a"],
    [[[[1.5]]]],
    {"a": {"b": [0]}},
)
VALUES = (
    st.sampled_from(_PLAIN)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.integers(-2, 9), max_size=4)
)
"""Values of any type, among them those on which code for another type stumbles."""

_TOKENS = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x1b[2J",
    b"\r\n",
    b"9" * 5000,
    b"1e999",
    b"NaN",
    b"\\ud800",
    b'"',
    b"'",
)
_BRACKETS = (b"[" * 40, b"[" * 5000, b"{", b"]", b"(" * 200, b"}", b",", b":", b"|", b"~")


@st.composite
def altered(draw: st.DrawFn, document: Any, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """A document of lists and dictionaries, with other values in one to three places, or without what was there."""
    whole = [copy.deepcopy(document)]
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(_places(whole))))
        match draw(st.sampled_from(("replace", "replace", "replace", "remove", "add"))):
            case "remove" if holder is not whole:
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(_TEXTS))] = _fresh(draw(values))
            case "add":
                holder.insert(key, _fresh(draw(values)))
            case _:
                holder[key] = _fresh(draw(values))
    return whole[0]


def _fresh(value: Any) -> Any:
    """A container of its own, because later changes may go into it."""
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    """The places in a document, as container and key; of long lists the first ones and the last."""
    keys = list(holder) if isinstance(holder, dict) else sorted({*range(len(holder))[:2], *range(len(holder))[-1:]})
    for key in keys:
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _places(holder[key])


@st.composite
def edited(draw: st.DrawFn, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """One of the seeds, cut off, or with other bytes in one to four places."""
    content = draw(st.sampled_from(seeds))
    known = st.sampled_from((*tokens, *_TOKENS, *_BRACKETS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(("token", "token", "bytes", "flip", "remove", "repeat", "cut"))):
            case "token":
                content = content[:at] + draw(known) + content[at:]
            case "bytes":
                content = (
                    content[:at] + draw(st.binary(min_size=1, max_size=6)) + content[at + draw(st.integers(0, 6)) :]
                )
            case "flip":
                content = content[:at] + bytes(255 ^ byte for byte in content[at : at + 1]) + content[at + 1 :]
            case "remove":
                content = content[:at] + content[at + draw(st.integers(1, 40)) :]
            case "repeat":
                content = content[:at] + content[max(0, at - draw(st.integers(1, 60))) : at] * 3 + content[at:]
            case _:
                content = content[:at]
    return content


def as_json(document: Any) -> bytes:
    """JSON, also with what JSON does not allow, such as NaN and half a surrogate pair."""
    return json.dumps(document, default=str).encode()


def like(*documents: Any, write: Callable[[Any], bytes] = as_json, tokens: Sequence[bytes] = ()) -> Input:
    """Files like those of the documents: with other values, with a token in place of a value, or with other bytes."""
    known = (*tokens, *_TOKENS, *_BRACKETS)
    values = VALUES | st.sampled_from([f"@{place}@" for place in range(len(known))])

    def written(document: Any) -> bytes:
        return re.sub(rb"""["']?@(\d+)@["']?""", lambda found: known[int(found[1])], write(document))

    others = st.sampled_from(documents).flatmap(lambda document: altered(document, values)).map(written)
    return others | edited([write(document) for document in documents], tokens)
