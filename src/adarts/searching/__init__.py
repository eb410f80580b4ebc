"""Search for cells: alternating updates of weights and alphas, measurements by epoch, and the verdict."""

from adarts.searching.config import search_config
from adarts.searching.search import SearchResult, run_search
from adarts.searching.task import SearchTask
from adarts.searching.verdict import Verdict

__all__ = ["SearchResult", "SearchTask", "Verdict", "run_search", "search_config"]
