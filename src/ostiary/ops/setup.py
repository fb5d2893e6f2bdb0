"""How this ostiary was started, for people to see: what start options say, and nothing that is secret."""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from ostiary.ops.caller import Caller
from ostiary.recording import Recording
from ostiary.settings import Settings
from ostiary.store.engine import described

if TYPE_CHECKING:
    from ostiary.ops.system import System


@dataclass(frozen=True)
class Setup:
    """Empty is what was not said. `database` is where it is, without whoever signs in to it and how.

    `passphrase`: whether the key-encryption key is protected by one. `token`: the label of the PKCS#11 token that may keep keys.
    """

    version: str = ""
    data_dir: str = ""
    database_kind: str = ""
    database: str = ""
    listen: str = ""
    public_url: str = ""
    kek_file: str = ""
    passphrase: bool = False
    token: str = ""
    token_module: str = ""
    leave_gateway: bool = False
    recording: Recording = field(default_factory=Recording)  # no secret is in it: what targets want to see is in files


def of(settings: Settings, *, passphrase: bool) -> Setup:
    """What of the settings anybody may know who may look at this ostiary."""
    kind, place = described(settings.database_url)
    return Setup(
        version=version("ostiary"),
        data_dir=str(settings.data_dir.absolute()),
        database_kind=kind,
        database=place,
        listen=settings.listen,
        public_url=settings.public_url,
        kek_file=str(settings.kek_file.absolute()),
        passphrase=passphrase,
        token=settings.token.label if settings.token else "",
        token_module=settings.token.module if settings.token else "",
        leave_gateway=settings.leave_gateway,
        recording=settings.recording,
    )


def show(system: "System", caller: Caller) -> Setup:
    """How it was started."""
    caller.must("settings:read")
    return system.setup
