"""Hand one letter to a mail server that an operator named (SMTP), encrypted and to nobody else, within a time and in few words.

Where the server is was judged before (`fetch.addresses`): exactly that is connected to. What it says is not trusted: how long a
reply may be and how long all of it may take is limited, and only the number of a refusal is told.
"""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final, Literal

from ostiary.errors import Unavailable

_LINE_MAX: Final = 2048  # octets of a line of a reply; RFC 5321 4.5.3.1.5 allows 512
_LINES_MAX: Final = 100
_OURSELVES: Final = "ostiary.invalid"  # we are no mail server, and the name of this machine is nobody's business


class NotSent(Unavailable):
    """The server does not have it. `refused`: it answered, and does not want this letter; another may be taken."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


@dataclass(frozen=True)
class Server:
    """A mail server. `addresses` are tried in turn; its certificate has to be for `host`. `seconds` are for all of it."""

    host: str
    port: int
    addresses: tuple[str, ...]
    security: Literal["STARTTLS", "TLS", "PLAIN"]
    username: str = ""
    password: str = field(default="", repr=False)
    trusted_certificates: str = ""
    seconds: float = 20.0

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.host}:{self.port}"


def send(server: Server, letter: EmailMessage, sender: str, recipients: Sequence[str]) -> str:
    """Hand it over; when this returns, the server has it. Raises `NotSent`.

    Says what it does not take: something for some of the recipients. To send it again would reach the others twice.
    """
    try:
        with _connected(server) as connection:
            connection.greet()
            if server.username:
                connection.login(server.username, server.password)
            refused = connection.send_message(letter, sender, list(recipients))
    except (smtplib.SMTPException, OSError) as error:
        raise _not_sent(server, error) from None
    return f"{server.place} takes nothing for some of the recipients ({_codes(refused)})." if refused else ""


def _not_sent(server: Server, error: smtplib.SMTPException | OSError) -> NotSent:
    """What went wrong, without a word of what the other side said."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return NotSent(f"{server.place} takes nothing for these recipients ({_codes(error.recipients)}).", refused=True)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotSent(f"{server.place} refuses the user or the password ({error.smtp_code}).")
    if isinstance(error, smtplib.SMTPResponseException):
        return NotSent(f"{server.place} refuses the letter ({error.smtp_code}).", refused=500 <= error.smtp_code < 600)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return NotSent(f"{server.place} does not offer what is asked of it: encryption (STARTTLS), or signing in.")
    if isinstance(error, smtplib.SMTPException):
        return NotSent(f"{server.place} broke off, or does not speak SMTP.")
    return NotSent(_connection_problem(server, error))


def _connection_problem(server: Server, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{server.place}: its certificate is not trusted ({error.verify_message})."
    if isinstance(error, ssl.SSLError):
        return f"{server.place}: TLS failed."
    if isinstance(error, TimeoutError):
        return f"{server.place} did not answer within {server.seconds:g} seconds."
    return f"{server.place}: no connection ({error.strerror or 'it was closed'})."


class _Connection(smtplib.SMTP):
    """A connection to the addresses that were judged, whose every reply is limited."""

    def __init__(self, server: Server, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._context = context
        # Given a host, the constructor would connect.
        super().__init__(local_hostname=_OURSELVES, timeout=server.seconds)
        self._host = server.host

    def open(self) -> None:
        """Connect, and wait until it says that it is ready. Raises what `send` translates."""
        self.sock = self._reached()
        code, words = self.getreply()
        if code != 220:
            raise smtplib.SMTPResponseException(code, words)

    def greet(self) -> None:
        """Say hello, and go over to TLS where that comes second; never on without it."""
        self.ehlo_or_helo_if_needed()
        if self._server.security == "STARTTLS":
            self.starttls(context=self._context)
            self.ehlo()

    def getreply(self) -> tuple[int, bytes]:
        """One reply: so many lines of such a length at most. Raises `SMTPServerDisconnected`."""
        if self.file is None:
            sock: Any = self.sock
            self.file = sock.makefile("rb")
        lines: list[bytes] = []
        for _ in range(_LINES_MAX):
            line = self.file.readline(_LINE_MAX + 1)
            if not line.endswith(b"\n") or len(line) > _LINE_MAX or not line[:3].isdigit():
                break
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected("no reply")

    def _reached(self) -> socket.socket:
        problem: OSError = OSError("no address")
        for address in self._server.addresses:
            try:
                plain = socket.create_connection((address, self._server.port), self._server.seconds / len(self._server.addresses))
            except OSError as error:
                problem = error
                continue
            plain.settimeout(self._server.seconds)
            if self._server.security != "TLS" or self._context is None:
                return plain
            try:
                return self._context.wrap_socket(plain, server_hostname=self._server.host)
            except OSError:
                plain.close()
                raise
        raise problem


@contextmanager
def _connected(server: Server) -> Iterator[_Connection]:
    """A connection that is closed when the time is over, however slowly the other side keeps it busy."""
    connection = _Connection(server, _context(server))
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        sock: Any = connection.sock
        with contextlib.suppress(OSError, AttributeError):
            sock.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(server.seconds, end)
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.open()
        yield connection
        with contextlib.suppress(smtplib.SMTPException, OSError):
            connection.quit()  # The letter is theirs; how we part is no matter.
    except (smtplib.SMTPException, OSError):
        if is_over.is_set():
            raise TimeoutError from None
        raise
    finally:
        watchdog.cancel()
        connection.close()


def _context(server: Server) -> ssl.SSLContext | None:
    if server.security == "PLAIN":
        return None
    return ssl.create_default_context(cadata=server.trusted_certificates or None)


def _codes(refused: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(sorted({str(code) for code, _words in refused.values()}))
