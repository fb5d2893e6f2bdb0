"""A mail server on loopback that keeps what it is handed: STARTTLS, TLS from the beginning, AUTH, and whatever it is told to say.

with mail_sink(tmp_path, leaf.chain_pem, leaf.key_pem) as sink:
    ...
    sink.letters[0].message["Subject"]
"""

import base64
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, BinaryIO, cast


@dataclass(frozen=True)
class Letter:
    """What was handed over: the envelope, the letter, and whether the connection was encrypted and signed in."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.data, policy=SMTP)

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")


@dataclass
class MailSink:
    """`says` are replies in place of its own, by command; `before` is called with each command, and may wait, or raise."""

    context: ssl.SSLContext | None = None
    implicit: bool = False
    users: Mapping[str, str] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _command: None
    port: int = 0
    letters: list[Letter] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


class _Conversation(socketserver.BaseRequestHandler):
    """One connection. A command is answered by the method of its name."""

    request: socket.socket

    def handle(self) -> None:
        self.sink: MailSink = cast("Any", self.server).sink
        self.encrypted, self.user, self.sender = False, "", ""
        self.recipients: list[str] = []
        self.request.settimeout(30)
        try:
            if self.sink.implicit:
                self._go_over()
            self.file: BinaryIO = cast("BinaryIO", self.request.makefile("rb"))
            self.sink.before("CONNECT")
            self._say("CONNECT", "220 sink")
            while line := self.file.readline(4096):
                self._answer(line.decode("utf-8", "replace").rstrip("\r\n"))
        except (OSError, ValueError):
            return  # the other side went, or would not have our certificate
        finally:
            self.request.close()

    def _answer(self, text: str) -> None:
        command = text.partition(" ")[0].upper()
        self.sink.commands.append(command if command == "AUTH" else text)
        self.sink.before(command)
        getattr(self, f"do_{command.lower()}", self.do_other)(text)

    def _say(self, command: str, usual: str) -> bool:
        told = self.sink.says.get(command, usual)
        self.request.sendall(told.encode() + b"\r\n")
        return told == usual

    def _go_over(self) -> None:
        assert self.sink.context is not None
        self.request, self.encrypted = self.sink.context.wrap_socket(self.request, server_side=True), True
        self.file = cast("BinaryIO", self.request.makefile("rb"))

    def do_other(self, text: str) -> None:
        self._say(text.partition(" ")[0].upper(), "250 ok")

    def do_ehlo(self, _text: str) -> None:
        offers = ["sink", "8BITMIME"]
        offers += ["STARTTLS"] if self.sink.context is not None and not self.encrypted else []
        offers += ["AUTH PLAIN"] if self.sink.users else []
        told = [f"250{'-' if number < len(offers) - 1 else ' '}{offer}" for number, offer in enumerate(offers)]
        self._say("EHLO", "\r\n".join(told))

    def do_starttls(self, _text: str) -> None:
        if self._say("STARTTLS", "220 go on"):
            self._go_over()

    def do_auth(self, text: str) -> None:
        given = base64.b64decode(text.split(" ")[2]).decode().split("\0")
        is_right = self.sink.users.get(given[1]) == given[2]
        self.user = given[1] if is_right else ""
        self._say("AUTH", "235 welcome" if is_right else "535 no")

    def do_mail(self, text: str) -> None:
        self.sender, self.recipients = text.partition("<")[2].partition(">")[0], []
        self._say("MAIL", "250 ok")

    def do_rcpt(self, text: str) -> None:
        address = text.partition("<")[2].partition(">")[0]
        if self._say(f"RCPT {address}" if f"RCPT {address}" in self.sink.says else "RCPT", "250 ok"):
            self.recipients.append(address)

    def do_data(self, _text: str) -> None:
        if not self._say("DATA", "354 go on"):
            return
        data = b""
        while (part := self.file.readline()) and part != b".\r\n":
            data += part[1:] if part.startswith(b"..") else part
        self.sink.letters.append(Letter(self.sender, tuple(self.recipients), data, self.encrypted, self.user))
        self._say("END", "250 taken")

    def do_quit(self, _text: str) -> None:
        self._say("QUIT", "221 bye")
        raise ConnectionAbortedError


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def mail_sink(
    folder: Path | None = None,
    chain_pem: str = "",
    key_pem: str = "",
    *,
    implicit: bool = False,
    users: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[MailSink]:
    """A sink; with a certificate and its key it speaks TLS."""
    context = None
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = folder / "mail-sink.pem"
        file.write_text(key_pem + chain_pem)
        context.load_cert_chain(file)
    sink = MailSink(context, implicit, users or {}, **options)
    with _Server(("127.0.0.1", 0), _Conversation) as server:
        cast("Any", server).sink = sink
        sink.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
