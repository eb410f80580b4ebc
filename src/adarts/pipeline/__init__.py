"""From a folder of images to a network that can be deployed: plan, search, train, compare, export, report."""

from adarts.pipeline.deliver import Delivered, run, run_pipeline
from adarts.pipeline.plan import Plan, read_plan

__all__ = ["Delivered", "Plan", "read_plan", "run", "run_pipeline"]
