"""Show a gateway any octets at all as a client certificate, and hear what Envoy tells of it.

    with Engine(tmp_path) as engine, Witness(engine.access_log) as witness:
        address = show(port, [der, issuer_der])      # from a loopback address of its own
        witness.connections(address)                 # what Envoy told, by the fields of `envoy.records`

What is shown needs neither a key nor a parser that takes it: TLS 1.2 has the server judge the certificate before the client
proves that it holds the key, so the handshake is broken off there. Whoever was not refused until then is told of as one whose
signature is bad.
"""

import ipaddress
import itertools
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ostiary.envoy.records import Record
from support.feed import Tail
from support.wait import eventually

_LIMIT: Final = 20.0

_HANDSHAKE, _TLS_1_2 = 22, b"\x03\x03"
_CLIENT_HELLO, _CERTIFICATE, _SERVER_HELLO_DONE, _CERTIFICATE_VERIFY, _CLIENT_KEY_EXCHANGE = 1, 11, 14, 15, 16

# Two suites (for servers with EC keys, and with RSA keys), P-256, and every signature algorithm we offer.
_SUITES: Final = bytes.fromhex("c02bc02f")
_EXTENSIONS: Final = bytes.fromhex(
    "000a00040002" + "0017" + "000b00020100" + "000d00120010" + "0403050306030807" + "0804040105010601"
)
# The generator of P-256, for a key that nobody will use.
_POINT: Final = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)

# What Envoy says of the signature by which the client would prove its key, and of one that there should not be.
_PROOF: Final = ("BAD_SIGNATURE", "WRONG_SIGNATURE_TYPE", "UNEXPECTED_RECORD")

_addresses = itertools.count(int(ipaddress.ip_address("127.16.0.1")))


def own_address() -> str:
    """A loopback address that nothing else in this process comes from."""
    return str(ipaddress.ip_address(next(_addresses)))


def show(port: int, chain: Sequence[bytes], address: str | None = None) -> str:
    """Begin a handshake from an address of its own, show these certificates, and hang up. Returns the address."""
    address = address or own_address()
    with socket.create_connection(("127.0.0.1", port), _LIMIT, source_address=(address, 0)) as raw:
        raw.sendall(_record(_message(_CLIENT_HELLO, _hello())))
        _until_done(raw)
        shown = b"".join(_vector(3, der) for der in chain)
        # Without a certificate there is nothing to be proven, and what comes instead is out of place.
        raw.sendall(
            _record(_message(_CERTIFICATE, _vector(3, shown)))
            + _record(_message(_CLIENT_KEY_EXCHANGE, _vector(1, _POINT)))
            + _record(_message(_CERTIFICATE_VERIFY, b"\x04\x03" + _vector(2, bytes(64))))
        )
        try:
            while raw.recv(65536):
                pass
        except ConnectionError:
            pass  # It hung up before it had read all.
    return address


class Witness:
    """Reads what an Envoy of `support.tiny_ads` tells of connections."""

    def __init__(self, folder: Path) -> None:
        self._tail = Tail(folder)

    def connections(self, *addresses: str) -> list[Record]:
        """What was told of the one connection from each of these addresses; waits until all of it is."""
        return eventually(lambda: self._found(addresses))

    def _found(self, addresses: Sequence[str]) -> list[Record]:
        by_address = {one.record["client"]: one.record for one in self._tail.told("connection")}
        return [by_address[address] for address in addresses] if by_address.keys() >= {*addresses} else []


def refusal(record: Record) -> str | None:
    """Why the certificate of a connection was refused, in Envoy's words; None for one that fell only over what came after it."""
    failure = record["failure"]
    came_to_the_proof = any(f"SSL_routines:OPENSSL_internal:{words}" in failure for words in _PROOF)
    return None if came_to_the_proof and "CERTIFICATE_VERIFY_FAILED" not in failure else failure


def _hello() -> bytes:
    return _TLS_1_2 + os.urandom(32) + _vector(1, b"") + _vector(2, _SUITES) + b"\x01\x00" + _vector(2, _EXTENSIONS)


def _until_done(raw: socket.socket) -> None:
    """Read until the server has asked for a certificate and said that it is done."""
    received, told = b"", b""
    while True:
        while len(received) < 5 or len(received) < 5 + int.from_bytes(received[3:5], "big"):
            more = raw.recv(65536)
            if not more:
                raise ConnectionError("the server hung up before it asked for a certificate")
            received += more
        kind, length = received[0], int.from_bytes(received[3:5], "big")
        assert kind == _HANDSHAKE, received[:16].hex()
        told, received = told + received[5 : 5 + length], received[5 + length :]
        while len(told) >= 4 and len(told) >= (size := 4 + int.from_bytes(told[1:4], "big")):
            if told[0] == _SERVER_HELLO_DONE:
                return
            told = told[size:]


def _message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + _vector(3, body)


def _record(message: bytes) -> bytes:
    most = 1 << 14
    parts = (message[at : at + most] for at in range(0, len(message), most))
    return b"".join(bytes((_HANDSHAKE,)) + _TLS_1_2 + _vector(2, part) for part in parts)


def _vector(size: int, octets: bytes) -> bytes:
    return len(octets).to_bytes(size, "big") + octets
