"""Which methods search without `none`, and where."""

from __future__ import annotations

import pytest

from adarts.spaces import SPACES
from tiny import tiny_search

SMOOTH = ("sdarts-rs", "sdarts-adv", "darts-pt", "beta-darts")


@pytest.mark.parametrize("method", [*SMOOTH, "darts", "darts-minus", "pc-darts", "p-darts"])
@pytest.mark.parametrize("space", ["darts", "s3", "nasbench201"])
def test_none_is_left_out_where_the_authors_leave_it_out(method: str, space: str) -> None:
    net = tiny_search(method, space=space).supernet
    none = SPACES.known[space].operations.index("none")
    for active_eo in net.active.values():
        searched = active_eo[:, none]
        assert searched.any() == searched.all() == (space != "darts" or method not in SMOOTH)
        assert active_eo[:, [o for o in range(active_eo.shape[1]) if o != none]].all()


def test_it_is_an_option() -> None:
    options = {"with_none": True}
    assert all(active_eo.all() for active_eo in tiny_search("sdarts-rs", options=options).supernet.active.values())
