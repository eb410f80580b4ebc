"""What a run looks like: drawings of its cells, and one offline HTML page that shows everything."""

from adarts.report.cells import cell_svg
from adarts.report.page import Lead, write_report

__all__ = ["Lead", "cell_svg", "write_report"]
