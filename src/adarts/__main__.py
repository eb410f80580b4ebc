"""``python -m adarts``, for when the `adarts` script is not on the path."""

import sys

from adarts.cli.main import main

sys.exit(main())
