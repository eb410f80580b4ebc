"""What the tests of every written form of a genotype ask of its refusals."""

import pytest

from adarts.errors import DataError


def refused(read, text, match=None):
    """The message with which a text is refused: one line, not long."""
    with pytest.raises(DataError, match=match) as caught:
        read(text)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 500
    return message
