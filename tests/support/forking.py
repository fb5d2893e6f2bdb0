"""Starts `ostiary up` for tests by forking a process that has loaded it: to load it takes longer than most tests.

    python forking.py FD

On the socket FD it is asked, in JSON, to start one (`argv`, `folder`, `log`, `env`), and how one that it started is (`ended`). It
serves nothing itself, so it has no threads and no state that a fork could split. It ends when whoever asks does.
"""

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from ostiary.loading import many_modules

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


def _load() -> None:
    """What takes an ostiary longest and is the same for each: what it loads, at once or when needed, and what it builds of that.

    Nothing here may leave a thread or an open file: a child would have half of it.
    """
    import ostiary.cli.main  # noqa: PLC0415 (what is loaded here, all that are forked have)
    import ostiary.serve  # noqa: PLC0415 (likewise)
    import ostiary.up  # noqa: PLC0415, F401 (likewise)
    from ostiary.model.fields import Data  # noqa: PLC0415 (likewise)
    from ostiary.pki import lint  # noqa: PLC0415 (likewise)
    from ostiary.store.engine import migrate, open_engine  # noqa: PLC0415 (likewise)

    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/ostiary.db")
        migrate(engine)
        engine.dispose()
    lint._linter()
    for model in _below(Data):
        model.model_rebuild()


def _below(model: Any) -> Iterator[Any]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)


def main() -> None:
    with many_modules():
        _load()
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
