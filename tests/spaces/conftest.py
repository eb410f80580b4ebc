from collections.abc import Callable, Iterator

import pytest

from adarts import source_file
from adarts.models import OPERATIONS
from adarts.spaces import SPACES
from adarts.spaces.operation_names import OPERATION_NAMES


@pytest.fixture
def new_process() -> Iterator[Callable[[], None]]:
    """Forgets what was registered and executed in the test, as a new process would; so does the end of the test."""
    places = (SPACES.known, OPERATIONS, source_file._MODULES)
    before = [dict(place) for place in places]
    names = set(OPERATION_NAMES)

    def forget() -> None:
        for place, content in zip(places, before, strict=True):
            place.clear()
            place.update(content)
        OPERATION_NAMES.intersection_update(names)

    yield forget
    forget()
