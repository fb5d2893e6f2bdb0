"""systemd units that renew a certificate by themselves: often looked at, seldom due."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Final

from ostiary.errors import Invalid

_NAME: Final = re.compile(r"[A-Za-z0-9:_.-]{1,100}")


def unit_name(name: str) -> str:
    """`ostiary-renew@NAME`. Raises `Invalid` for what systemd would not take as it is."""
    if not _NAME.fullmatch(name):
        raise Invalid("--name", f"'{name}' has signs that a unit's name cannot have; give letters, digits and - _ . only.")
    return f"ostiary-renew@{name}"


def service(folder: Path, program: str) -> str:
    """The service: one look, and a renewal when it is due."""
    start = " ".join(_quoted(part) for part in (program, "enroll", "renew", str(folder), "--if-due"))
    return f"""\
[Unit]
Description=Renew the certificate in {_plain(str(folder))}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={start}
UMask=0077
"""


def timer(folder: Path, life: timedelta) -> str:
    """The timer. Each device looks at moments of its own, so that none of them all come at once."""
    every = "hourly" if life > timedelta(days=2) else "*:0/5"
    spread = "1h" if life > timedelta(days=2) else "5min"
    return f"""\
[Unit]
Description=Look whether the certificate in {_plain(str(folder))} is due for renewal

[Timer]
OnCalendar={every}
RandomizedDelaySec={spread}
Persistent=true

[Install]
WantedBy=timers.target
"""


def _quoted(text: str) -> str:
    # systemd.syntax(7), systemd.unit(5): quotes and backslashes are escaped, % begins a specifier and $ a variable.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    return text.replace("%", "%%").replace("\n", " ")
