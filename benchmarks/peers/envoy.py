"""Bare Envoy, the same binary as in ostiary: what somebody would write from its documentation, and nothing tuned.

The listener and the trust are files that it watches (path_config_source), so that they can be changed while it serves. What it
does with a request is what a static listener would do.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.peers import wheels
from benchmarks.peers.peer import Program, Served

from ostiary.gateway.engine import binary

_TYPE = "type.googleapis.com/envoy"
_RECORD = (
    "%START_TIME% %DOWNSTREAM_REMOTE_ADDRESS% %REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %BYTES_SENT% %DURATION% "
    '%UPSTREAM_HOST% "%DOWNSTREAM_PEER_SUBJECT%" %DOWNSTREAM_PEER_FINGERPRINT_256% "%REQ(USER-AGENT)%"\n'
)


class Envoy(Program):
    """One worker thread."""

    name = "Envoy (bare)"
    identity = ("x-forwarded-client-cert",)

    def version(self) -> str:
        return wheels.said(binary(), "--version").split("version: ")[1].strip()

    def command(self, served: Served) -> list[object]:
        words = ("--concurrency", 1, "--disable-hot-restart", "--log-level", "warning")
        return [binary(), "-c", served.folder / "envoy.json", *words]

    def change(self, served: Served) -> None:
        """Move new files over the old ones, which is what it watches for."""
        self._write_watched(served)

    def write(self, served: Served) -> None:
        backend = {"socket_address": {"address": "127.0.0.1", "port_value": served.house.backend_port}}
        _put(
            served.folder / "envoy.json",
            {
                "node": {"id": "bench", "cluster": "bench"},
                "dynamic_resources": {"lds_config": _watched(served.folder / "listeners.json")},
                "static_resources": {
                    "clusters": [
                        {
                            "name": "backend",
                            "type": "STATIC",
                            "load_assignment": {
                                "cluster_name": "backend",
                                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": backend}}]}],
                            },
                        }
                    ]
                },
            },
        )
        self._write_watched(served)

    @staticmethod
    def _write_watched(served: Served) -> None:
        papers, folder = served.house.papers, served.folder
        crl = "crl-revoked.pem" if served.state.revokes_victim else "crl.pem"
        trust = {
            "@type": f"{_TYPE}.extensions.transport_sockets.tls.v3.Secret",
            "name": "trust",
            "validation_context": {
                "trusted_ca": {"filename": str(papers.file("client-ca.pem"))},
                "crl": {"filename": str(papers.file(crl))},
            },
        }
        _put(folder / "trust.json", {"resources": [trust]})
        _put(folder / "listeners.json", {"resources": [_listener(served)]})


def _listener(served: Served) -> dict[str, Any]:
    return {
        "@type": f"{_TYPE}.config.listener.v3.Listener",
        "name": "door",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": served.port}},
        "filter_chains": [
            {
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": _tls(served)},
                "filters": [
                    {"name": "envoy.filters.network.http_connection_manager", "typed_config": _manager(served)},
                ],
            }
        ],
    }


def _tls(served: Served) -> dict[str, Any]:
    papers = served.house.papers
    common: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
        "tls_certificates": [
            {
                "certificate_chain": {"filename": str(papers.file("server.pem"))},
                "private_key": {"filename": str(papers.file("server.key"))},
            }
        ],
    }
    if served.state.mode == "MANDATORY":
        common["validation_context_sds_secret_config"] = {
            "name": "trust",
            "sds_config": _watched(served.folder / "trust.json"),
        }
    return {
        "@type": f"{_TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": served.state.mode == "MANDATORY",
        "disable_stateless_session_resumption": True,
        "disable_stateful_session_resumption": True,
        "common_tls_context": common,
    }


def _manager(served: Served) -> dict[str, Any]:
    record = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{_TYPE}.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(served.folder / "access.log"),
            "log_format": {"text_format_source": {"inline_string": _RECORD}},
        },
    }
    return {
        "@type": f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "door",
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"subject": True},
        "access_log": [record] if served.house.has_record else [],
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.extensions.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "name": "routes",
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}]}
            ],
        },
    }


def _watched(file: Path) -> dict[str, Any]:
    return {"path_config_source": {"path": str(file)}, "resource_api_version": "V3"}


def _put(file: Path, content: dict[str, Any]) -> None:
    """Written aside and moved into place: Envoy takes note of moves only."""
    aside = file.with_suffix(".new")
    aside.write_text(json.dumps(content, indent=2))
    aside.rename(file)
