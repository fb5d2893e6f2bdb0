"""Starts `ostiary up` for tests by forking a process that has loaded it: to load it takes longer than most tests.

    python forking.py FD

On the socket FD it is asked, in JSON, to start one (`argv`, `folder`, `log`, `env`), and how one that it started is (`ended`). It
runs nothing itself, so it has no threads and no state that a fork could split. It ends when whoever asks does.
"""

import gc
import json
import os
import signal
import socket
import sys
from typing import Any

_LONGEST = 1 << 20


def _child(asked: dict[str, Any], asking: socket.socket) -> None:
    """Be the program that was asked for; never returns."""
    status = 1
    try:
        asking.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(asked["folder"])
        os.environ.clear()  # noqa: TID251 (as a program that is started has what it was given)
        os.environ.update(asked["env"])  # noqa: TID251 (likewise)
        nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(asked["log"], os.O_WRONLY | os.O_APPEND)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        for one in (nothing, log):
            os.close(one)
        # Python's own streams were made for others: these are of files, as they would be had the program been started.
        sys.stdout, sys.stderr = (open(fd, "w", buffering=size, closefd=False) for fd, size in ((1, -1), (2, 1)))  # noqa: SIM115
        sys.argv = asked["argv"]
        from ostiary.cli.main import run  # noqa: PLC0415 (it was loaded before the fork)

        try:
            run()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 (nothing may run on in a child as if it were its parent)
        import traceback  # noqa: PLC0415 (only then)

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _ended(pid: int, known: dict[int, int]) -> int | None:
    """How one ended; None while it lives."""
    if pid not in known:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found == pid:
            known[pid] = os.waitstatus_to_exitcode(status)
    return known.get(pid)


def main() -> None:
    import ostiary.cli.main  # noqa: PLC0415 (what is loaded here, all that are forked have)
    import ostiary.serve  # noqa: PLC0415 (likewise)
    import ostiary.up  # noqa: PLC0415, F401 (likewise)

    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end us by closing the socket
    known: dict[int, int] = {}
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        while message := asking.recv(_LONGEST):
            asked = json.loads(message)
            if "ended" in asked:
                answer: Any = _ended(asked["ended"], known)
            else:
                answer = os.fork()
                if answer == 0:
                    _child(asked, asking)
            asking.send(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
