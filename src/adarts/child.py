"""A small program that binds its process to cores and to the life of its parent, then replaces itself by a command.

    python child.py PARENT CORES COMMAND...

CORES are numbers separated by commas, or empty for all. When the process PARENT ends for any reason, the command receives a
SIGTERM and stops at a checkpoint. Both settings survive exec. Doing this here avoids running code between fork and exec in the
parent, which could deadlock on a lock of another thread. Only the standard library is imported, so it starts quickly.
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
        if os.getppid() != parent:  # the parent ended before the line above
            sys.exit(143)
        if cores:
            os.sched_setaffinity(0, map(int, cores.split(",")))
    os.execv(command[0], command)
