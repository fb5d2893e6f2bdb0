"""Certificates that all peers are given alike: a server's, and who may come in. All keys are P-256."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from support.certs import Authority, Leaf


@dataclass(frozen=True)
class Papers:
    """One authority for the server, another one for clients, each a root that signs what it issues itself.

    Files, in `folder`: `server-ca.pem` (whom clients trust), `server.pem` and `server.key` (in one: `server.both.pem`),
    `client-ca.pem`, `crl.pem` (nobody useful is on it) and `crl-revoked.pem` (`victim` is). Of each client: `NAME.both.pem`, the
    certificate and its key in one file.
    """

    folder: Path
    servers: Authority
    clients: Authority
    client: Leaf  # who is let in
    victim: Leaf  # let in until it is revoked
    revoked: Leaf  # on the list from the beginning
    stranger: Leaf  # of another authority with the same name

    @classmethod
    def made(cls, folder: Path) -> "Papers":
        """Made anew, and written."""
        servers, clients = Authority.root("Bench server CA"), Authority.root("Bench client CA")
        names = ("bench-client", "bench-victim", "bench-revoked")
        client, victim, revoked = (clients.client(name) for name in names)
        papers = cls(
            folder, servers, clients, client, victim, revoked, Authority.root("Bench client CA").client("bench-stranger")
        )
        folder.mkdir(parents=True, exist_ok=True)
        papers._write()
        return papers

    def _write(self) -> None:
        server = self.servers.server()
        texts = {
            "server-ca.pem": self.servers.cert_pem,
            "server.pem": server.chain_pem,
            "server.key": server.key_pem,
            "server.both.pem": server.chain_pem + server.key_pem,
            "client-ca.pem": self.clients.cert_pem,
            "crl.pem": self.crl,
            "crl-revoked.pem": self.crl_with_victim,
            **{f"{name}.both.pem": leaf.chain_pem + leaf.key_pem for name, leaf in self._leaves().items()},
        }
        for name, text in texts.items():
            file = self.folder / name
            file.touch(mode=0o600)
            file.write_text(text)

    def _leaves(self) -> dict[str, Leaf]:
        return {"client": self.client, "victim": self.victim, "revoked": self.revoked, "stranger": self.stranger}

    @cached_property
    def crl(self) -> str:
        """The list as it is at first."""
        return self.clients.crl([self.revoked])

    @cached_property
    def crl_with_victim(self) -> str:
        """The list once `victim` is revoked, too."""
        return self.clients.crl([self.revoked, self.victim], number=2)

    def file(self, name: str) -> Path:
        """One of them."""
        return self.folder / name
