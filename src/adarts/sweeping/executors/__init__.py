"""Where the searches of a sweep run. The sweep submits jobs and hears of them by events; an executor runs them somewhere.

Only the standard library is imported here, because the programs that start a search on another machine import it, too.
"""

from adarts.sweeping.executors.base import Ended, Event, Executor, Job, Queued, Started

__all__ = ["Ended", "Event", "Executor", "Job", "Queued", "Started"]
