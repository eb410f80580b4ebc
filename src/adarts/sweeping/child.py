"""Started as a program of its own: binds itself to its cores and to the life of its parent, then becomes the command.

    python child.py PARENT CORES COMMAND...

Both last through the change into the command. That is safer than code that runs between fork and exec, which must not meet a
lock that another thread of the parent holds. Only the standard library is imported, so this costs a few hundredths of a second.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, cores: str, command: list[str]) -> None:
    """Become the command.

    Args:
        parent: when this process ends, however it ends, the command gets a SIGTERM: it stops at a checkpoint.
        cores: numbers parted by commas; empty leaves all.
        command: the program and its arguments.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before the line above
            sys.exit(143)
        if cores:
            os.sched_setaffinity(0, map(int, cores.split(",")))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
