"""Started as a program of its own: binds itself to its cores and to the life of its parent, then becomes the command.

    python child.py PARENT CORES COMMAND...

CORES are numbers parted by commas, or empty for all. When the process PARENT ends, however it ends, the command gets a SIGTERM
and stops at a checkpoint. Both last through the change into the command, and need no code between fork and exec, which must not
meet a lock that another thread of the parent holds. Only the standard library is imported: a few hundredths of a second.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, cores, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before the line above
            sys.exit(143)
        if cores:
            os.sched_setaffinity(0, map(int, cores.split(",")))
    os.execv(command[0], command)
