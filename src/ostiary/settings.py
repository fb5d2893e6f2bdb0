"""What the operator can set outside the API: where data lives, what to listen on. The only reader of the environment."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary.errors import Invalid

DEFAULT_LISTEN: Final = "127.0.0.1:9876"


@dataclass(frozen=True)
class Settings:
    """How one ostiary runs. `database` is an SQLAlchemy URL; empty means SQLite in the data directory.

    `leave_gateway`: whether the gateway goes on serving when the control plane is stopped, for the next one to adopt.
    `enroll_listen`: where holders ask for certificates and renew them; empty is nowhere. `enroll_names`: by which names they
    reach it, the first of them in links.
    """

    data_dir: Path
    database: str = ""
    listen: str = DEFAULT_LISTEN
    leave_gateway: bool = False
    enroll_listen: str = ""
    enroll_names: tuple[str, ...] = ()

    @property
    def database_url(self) -> str:
        """The database to use, as an SQLAlchemy URL."""
        if self.database:
            # psycopg 3 is the driver we ship; `postgresql://` alone would ask for psycopg2.
            return self.database.replace("postgresql://", "postgresql+psycopg://", 1)
        return f"sqlite:///{self.data_dir / 'ostiary.db'}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port the API listens on. Raises `Invalid`."""
        return split_address(self.listen, "--listen")

    @property
    def token_file(self) -> Path:
        """Where the admin token is kept, mode 0600."""
        return self.data_dir / "admin.token"

    @property
    def kek_file(self) -> Path:
        """Where the key-encryption key is kept, mode 0600."""
        return self.data_dir / "kek"


def split_address(text: str, field: str) -> tuple[str, int]:
    """Split `127.0.0.1:9876` or `[::1]:9876`. Raises `Invalid` naming `field`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise Invalid(field, f"'{text}' is not HOST:PORT, such as {DEFAULT_LISTEN}")
    return host.strip("[]"), int(port)


def from_environment(name: str) -> str | None:
    """One of the variables of the contract: OSTIARY_DATA_DIR, OSTIARY_DATABASE, OSTIARY_LISTEN, OSTIARY_URL, OSTIARY_TOKEN."""
    return os.environ.get(f"OSTIARY_{name}") or None  # noqa: TID251 (this is the place)


def default_data_dir() -> Path:
    """OSTIARY_DATA_DIR; else `data` here if an ostiary lives in it; else where such data belongs on this system."""
    named = from_environment("DATA_DIR")
    if named:
        return Path(named)
    here = Path("data")
    if (here / "admin.token").exists():
        return here
    return Path("/var/lib/ostiary") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "ostiary"
