"""Drawings of cells, charts, and the report of a run as one self-contained HTML page."""

from adarts.report.cells import cell_pngs, cell_svg
from adarts.report.page import Lead, write_page, write_report
from adarts.report.picture import picture

__all__ = ["Lead", "cell_pngs", "cell_svg", "picture", "write_page", "write_report"]
