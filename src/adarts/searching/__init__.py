"""The search: alternating updates of weights and alphas, and what is measured meanwhile."""

from adarts.searching.config import search_config
from adarts.searching.search import SearchResult, run_search
from adarts.searching.task import SearchTask

__all__ = ["SearchResult", "SearchTask", "run_search", "search_config"]
