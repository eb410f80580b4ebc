"""The slots of chosen channels, the order in which they enter the operations."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from adarts.supernet.selection import place, top


@st.composite
def choices(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    """For some edges, the channels in the slots, in any order, and the channels chosen now, ascending."""
    edges, selected = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    channels = st.permutations(range(selected * draw(st.integers(1, 4))))
    slots, now = ([draw(channels)[:selected] for _ in range(edges)] for _ in range(2))
    return slots, [sorted(chosen) for chosen in now]


@given(choices())
def test_a_channel_that_stays_keeps_its_slot_and_newcomers_take_the_others_in_order(
    choice: tuple[list[list[int]], list[list[int]]],
) -> None:
    slots, now = choice
    placed = place(torch.tensor(now)[None], torch.tensor(slots))
    assert placed.shape == (1, len(slots), len(slots[0]))
    for old, chosen, new in zip(slots, now, placed[0].tolist(), strict=True):
        assert sorted(new) == chosen
        stays = [channel in chosen for channel in old]
        assert all(new[slot] == old[slot] for slot, stay in enumerate(stays) if stay)
        newcomers = [new[slot] for slot, stay in enumerate(stays) if not stay]
        assert newcomers == sorted(newcomers) and not set(newcomers) & set(old)


def test_a_newcomer_below_all_others_moves_none_of_them() -> None:
    slots = top(torch.tensor([[[0.1, 0.9, 0.8, 0.7, 0.2, 0.3]]]), 2)[0]
    now = top(torch.tensor([[[0.9, 0.1, 0.8, 0.7, 0.2, 0.3]]]), 2)
    assert slots.tolist() == [[1, 2, 3]] and now.tolist() == [[[0, 2, 3]]]
    assert place(now, slots).tolist() == [[[0, 2, 3]]]
    then = top(torch.tensor([[[0.9, 0.1, 0.8, 0.3, 0.2, 0.7]]]), 2)
    assert place(then, torch.tensor([[3, 2, 0]])).tolist() == [[[5, 2, 0]]]  # sorted, all three would have moved
