"""The paper's tables and figures, each in one short file: the runs that it asks for, and what it makes of them."""

from adarts.experiments.reproducing.budgets import BUDGETS, Budget, Plan, budget_of
from adarts.experiments.reproducing.reproduce import ALL, EXPERIMENTS, reproduce

__all__ = ["ALL", "BUDGETS", "EXPERIMENTS", "Budget", "Plan", "budget_of", "reproduce"]
