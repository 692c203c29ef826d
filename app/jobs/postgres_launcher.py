"""A program that becomes PostgreSQL, and has the kernel stop it when the server dies.

Run by path, not imported: `postgres_launcher.py PARENT USER GROUP postgres …`. Root changes to USER
and GROUP, which are ids. A parent that is killed cannot stop its children itself.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, user, group = map(int, sys.argv[1:4])
    command = sys.argv[4:]
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    # A session of its own: Ctrl-C at the terminal is for the server, which still needs it to drain.
    os.setsid()
    if sys.platform == "linux":
        # After the change of user, which takes the signal back. SIGINT is a fast shutdown.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            return
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
