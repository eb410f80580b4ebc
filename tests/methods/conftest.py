"""The textbook stands beside the tests, in no package: it imports torch alone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "oracles"))
