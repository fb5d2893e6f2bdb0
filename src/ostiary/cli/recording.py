"""Options of `ostiary up` and `ostiary demo`: how the access record is kept, and where else it goes."""

from collections.abc import Sequence
from typing import Annotated

import typer

from ostiary.recording import MIB, Recording, span, target

MaxMib = Annotated[
    int,
    typer.Option(
        "--access-log-max-mib",
        envvar="OSTIARY_ACCESS_LOG_MAX_MIB",
        help="A file of the access record grows to so many MiB; then the next is begun, and this one compressed.",
    ),
]
MaxAge = Annotated[
    str,
    typer.Option(
        "--access-log-max-age", envvar="OSTIARY_ACCESS_LOG_MAX_AGE", help="It is written to for so long, such as 12h or 1d."
    ),
]
Keep = Annotated[
    str, typer.Option("--access-log-keep", envvar="OSTIARY_ACCESS_LOG_KEEP", help="It is kept for so long, such as 90d or 52w.")
]
KeepFiles = Annotated[
    int,
    typer.Option(
        "--access-log-keep-files",
        envvar="OSTIARY_ACCESS_LOG_KEEP_FILES",
        help="No more files than so many are kept.",
    ),
]
Exports = Annotated[
    list[str] | None,
    typer.Option(
        "--access-log-export",
        envvar="OSTIARY_ACCESS_LOG_EXPORTS",
        help="Send it to a collector too: syslog+tls://HOST, syslog+tcp://HOST, syslog+udp://HOST or otlp+https://HOST/v1/logs, "
        "with #ca=FILE, cert=FILE, key=FILE, headers=FILE, facility=NAME; may be given again.",
    ),
]

USUAL_MIB = Recording().largest // MIB
USUAL_MAX_AGE = "1d"
USUAL_KEEP = "90d"
USUAL_FILES = Recording().files


def recording(max_mib: int, max_age: str, keep: str, keep_files: int, exports: Sequence[str] | None) -> Recording:
    """What these options say. Raises `Invalid`."""
    return Recording(
        max_mib * MIB,
        span(max_age, "--access-log-max-age"),
        span(keep, "--access-log-keep"),
        keep_files,
        tuple(map(target, exports or ())),
    )
