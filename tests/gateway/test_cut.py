"""One connection of another process is ended, and no other, whoever comes back from the same port."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest

from ostiary.gateway import cut, pids
from ostiary.gateway.cut import Ends
from ostiary.gateway.pids import Process

_ECHO: Final = """
import socket, sys, threading
address = sys.argv[1]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
server = socket.create_server((address, 0), family=family, dualstack_ipv6=address == "::")
print(server.getsockname()[1], flush=True)
def echo(connection):
    with connection:
        while piece := connection.recv(100):
            connection.sendall(piece)
while True:
    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
"""
NOBODY: Final = 65534


@contextmanager
def echoing(address: str) -> Iterator[tuple[Process, int]]:
    """A process that sends back what it gets."""
    with subprocess.Popen([sys.executable, "-c", _ECHO, address], stdout=subprocess.PIPE, text=True) as child:
        process = pids.of(child.pid)
        assert child.stdout is not None
        try:
            yield process, int(child.stdout.readline())
        finally:
            child.kill()
            process.close()


def connected(address: str, port: int, source: int = 0) -> socket.socket:
    sock = socket.create_connection((address, port), 20, (address, source))
    assert echoes(sock)
    return sock


def echoes(sock: socket.socket) -> bool:
    sock.sendall(b"hello")
    return sock.recv(100) == b"hello"


def is_ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(100) == b""
    except ConnectionResetError:
        return True


def all_of(sock: socket.socket) -> int:
    """How many octets come until it ends."""
    got = 0
    try:
        while piece := sock.recv(1_000_000):
            got += len(piece)
    except ConnectionResetError:
        pass
    return got


def its_ends(sock: socket.socket) -> Ends:
    here, there = sock.getsockname()[:2], sock.getpeername()[:2]
    return Ends(here[0], here[1], there[0], there[1])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_one_connection_is_ended_and_the_others_go_on(address: str) -> None:
    with echoing(address) as (process, port), ExitStack() as stack:
        alice, *others = (stack.enter_context(connected(address, port)) for _ in range(9))
        where = its_ends(alice)
        assert cut.cut(process, cut.numbers(process, {where})) == {where}
        assert is_ended(alice)
        assert all(echoes(one) for one in others)
        assert cut.numbers(process, {its_ends(one) for one in others}).keys() == {its_ends(one) for one in others}


def test_a_client_of_ipv4_at_a_door_of_ipv6_is_found() -> None:
    with echoing("::") as (process, port), connected("127.0.0.1", port) as alice:
        cut.cut(process, cut.numbers(process, {its_ends(alice)}))
        assert is_ended(alice)


def test_whoever_comes_back_from_the_same_port_is_left_alone() -> None:
    with echoing("127.0.0.1") as (process, port):
        with connected("127.0.0.1", port) as first:
            # Leave at once, so that the port can be used again.
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, cut._NOW)
            where = its_ends(first)
            found = cut.numbers(process, {where})
        with connected("127.0.0.1", port, where.client_port) as second:
            assert its_ends(second) == where
            assert cut.cut(process, found) == set()
            assert echoes(second)


def test_a_connection_that_is_gone_is_not_found() -> None:
    with echoing("127.0.0.1") as (process, port):
        assert cut.numbers(process, {Ends("127.0.0.1", 9, "127.0.0.1", port)}) == {}
        assert cut.cut(process, {Ends("127.0.0.1", 9, "127.0.0.1", port): 1}) == set()


_FLOOD: Final = """
import select, socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
connection.setblocking(False)
sent = 0
while select.select([], [connection], [], 0.5)[1]:
    sent += connection.send(bytes(65536))
print(sent, flush=True)
select.select([connection], [], [])
connection.close()
print("closed", flush=True)
server.accept()
"""


def test_who_has_not_read_for_a_while_gets_nothing_of_what_waits_in_the_kernel() -> None:
    with subprocess.Popen([sys.executable, "-c", _FLOOD], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        process = pids.of(child.pid)
        with socket.create_connection(("127.0.0.1", int(child.stdout.readline()))) as slow:
            sent = int(child.stdout.readline())
            cut.cut(process, cut.numbers(process, {its_ends(slow)}))
            assert child.stdout.readline() == "closed\n"
            assert all_of(slow) < sent
        child.kill()
        process.close()


def test_a_process_of_ours_lends_its_sockets() -> None:
    with echoing("127.0.0.1") as (process, port), connected("127.0.0.1", port):
        assert cut.unable(process) is None


def test_where_the_kernel_lends_no_socket_it_says_what_would_help() -> None:
    """As somebody else than whose process it is: imported first, for nobody may read where Python is."""
    whose = os.getpid() if os.geteuid() == 0 else 1
    leave = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})" if os.geteuid() == 0 else ""
    asked = f"import os\nfrom ostiary.gateway import cut, pids\n{leave}\nprint(cut.unable(pids.of({whose})))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert "ptrace_scope" in done.stdout
