"""Runs a command that must not outlive its starter: `python guard.py COMMAND...` with a pipe as standard input.

When the pipe closes, because the starter closed it or died in any way, the command is killed. Exits with the command's
status (128 and the signal, for one that was killed). Started by path, without site packages: nothing of tinyctl here.
"""

import os
import subprocess
import sys
import threading


def main() -> None:
    """Start the command and wait for its end or for that of the pipe."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, close_fds=False)

    def report() -> None:
        status = child.wait()
        os._exit(status if status >= 0 else 128 - status)

    threading.Thread(target=report, daemon=True).start()
    while os.read(0, 1):
        pass
    child.kill()
    threading.Event().wait()  # the other thread exits with the status


if __name__ == "__main__":
    main()
