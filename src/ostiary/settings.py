"""What the operator can set outside the API: where data lives, what to listen on. The only reader of the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ostiary.errors import Invalid
from ostiary.recording import Recording

DEFAULT_LISTEN: Final = "127.0.0.1:9876"
_OTEL: Final = (
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_SERVICE_NAME",
    *(
        f"OTEL_EXPORTER_OTLP_{which}{what}"
        for which in ("", "TRACES_")
        for what in ("ENDPOINT", "PROTOCOL", "HEADERS", "CERTIFICATE")
    ),
)
_ENDPOINT: Final = re.compile(r"https?://[^\s/?#]{1,255}(/[^\s?#]{0,255})?")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PUBLIC_URL: Final = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,200}(/[A-Za-z0-9._~/-]{0,200})?")


def from_environment(name: str) -> str | None:
    """One of the variables of the contract, without the `OSTIARY_` they all begin with."""
    return os.environ.get(f"OSTIARY_{name}") or None  # noqa: TID251 (this is the place)


@dataclass(frozen=True)
class TokenSettings:
    """Which PKCS#11 token may keep the keys of authorities: the module that leads to it, its label, the file with its PIN."""

    module: str
    label: str
    pin_file: Path


def token_from_environment() -> TokenSettings | None:
    """What OSTIARY_PKCS11_MODULE, OSTIARY_PKCS11_TOKEN and OSTIARY_PKCS11_PIN_FILE say. Raises `Invalid` for a part of them."""
    names = ("PKCS11_MODULE", "PKCS11_TOKEN", "PKCS11_PIN_FILE")
    given = [from_environment(name) for name in names]
    if not any(given):
        return None
    for name, value in zip(names, given, strict=True):
        if not value:
            raise Invalid(f"OSTIARY_{name}", "is not set, but the others for a PKCS#11 token are; set all three or none")
    module, label, pin_file = (str(value) for value in given)
    return TokenSettings(module, label, Path(pin_file))


def passphrase_file_from_environment() -> Path | None:
    """Where OSTIARY_PASSPHRASE_FILE says that the passphrase is. In a systemd unit that may be a credential: `%d/NAME`."""
    named = from_environment("PASSPHRASE_FILE")
    return Path(named) if named else None


@dataclass(frozen=True)
class Traces:
    """Where spans are sent, by what OpenTelemetry's own variables say. `endpoint` and `headers` may hold a secret."""

    endpoint: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    service: str = "ostiary"
    ca_file: Path | None = None

    @property
    def shown(self) -> str:
        """Where, without a name and a password that may be in it."""
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def traces_from_environment() -> Traces | None:
    """What OTEL_EXPORTER_OTLP_ENDPOINT and its like say; None where nobody wants traces. Raises `Invalid`."""
    told = {name: os.environ.get(name, "") for name in _OTEL}  # noqa: TID251 (this is the place)
    its, common = told["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], told["OTEL_EXPORTER_OTLP_ENDPOINT"]
    endpoint = its or (common.rstrip("/") + "/v1/traces" if common else "")
    if not endpoint or told["OTEL_SDK_DISABLED"].lower() == "true" or told["OTEL_TRACES_EXPORTER"] == "none":
        return None
    named = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" if its else "OTEL_EXPORTER_OTLP_ENDPOINT"
    if not _ENDPOINT.fullmatch(endpoint):
        raise Invalid(named, "it must be an http or https URL, such as http://127.0.0.1:4318")
    protocol = told["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] or told["OTEL_EXPORTER_OTLP_PROTOCOL"]
    if protocol not in {"", "http/json", "http/protobuf"}:
        raise Invalid("OTEL_EXPORTER_OTLP_PROTOCOL", "only OTLP over HTTP is spoken: set http/json, and the port of it")
    ca_file = told["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"] or told["OTEL_EXPORTER_OTLP_CERTIFICATE"]
    return Traces(
        endpoint,
        _headers(told["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] or told["OTEL_EXPORTER_OTLP_HEADERS"]),
        told["OTEL_SERVICE_NAME"] or "ostiary",
        Path(ca_file) if ca_file else None,
    )


def _headers(text: str) -> dict[str, str]:
    """Of `name=value,name=value`, the values percent-encoded. Raises `Invalid` without quoting it: it may be secret."""
    found: dict[str, str] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, split, value = one.partition("=")
        value = unquote(value).strip()
        if not split or not _HEADER_NAME.fullmatch(name.strip()) or not (value.isascii() and value.isprintable()):
            raise Invalid("OTEL_EXPORTER_OTLP_HEADERS", "it must be like name=value,name=value")
        found[name.strip()] = value
    return found


@dataclass(frozen=True)
class Settings:
    """How one ostiary runs. `database` is an SQLAlchemy URL; empty means SQLite in the data directory.

    `leave_gateway`: whether the gateway goes on serving when the control plane is stopped, for the next one to adopt.
    `enroll_listen`: where holders ask for certificates and renew them; empty is nowhere. `enroll_names`: by which names they
    reach it, the first of them in links. `public_url`: below which anybody finds revocation lists and OCSP; empty is nowhere.
    `console_listen` and `console_names`: the same of the console's own door; `console_client_authentication`: whether who comes
    there may show a client certificate (OPTIONAL) or must (MANDATORY). `token` may keep keys; `passphrase_file` holds what
    protects the key-encryption key. `recording`: how long the access record is kept, and where it is sent to.
    `traces`: where spans are sent, if anywhere. `workers`: how many threads of Envoy serve clients; 0 is one for each processor.
    `gateway_memory_mib`: how much memory Envoy may take; 0 is half of what there is (`ostiary.room`).
    """

    data_dir: Path
    database: str = ""
    listen: str = DEFAULT_LISTEN
    leave_gateway: bool = False
    enroll_listen: str = ""
    enroll_names: tuple[str, ...] = ()
    public_url: str = ""
    console_listen: str = ""
    console_names: tuple[str, ...] = ()
    console_client_authentication: str = "OPTIONAL"
    token: TokenSettings | None = field(default_factory=token_from_environment)
    passphrase_file: Path | None = field(default_factory=passphrase_file_from_environment)
    traces: Traces | None = field(default_factory=traces_from_environment)
    recording: Recording = field(default_factory=Recording)
    workers: int = 0
    gateway_memory_mib: int = 0

    def __post_init__(self) -> None:
        if self.public_url and not _PUBLIC_URL.fullmatch(self.public_url):
            raise Invalid("--public-url", "it must be an http or https URL without a query, such as http://pki.example")

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


def default_data_dir() -> Path:
    """OSTIARY_DATA_DIR; else `data` here if an ostiary lives in it; else where such data belongs on this system."""
    named = from_environment("DATA_DIR")
    if named:
        return Path(named)
    here = Path("data")
    if (here / "admin.token").exists():
        return here
    return Path("/var/lib/ostiary") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "ostiary"
