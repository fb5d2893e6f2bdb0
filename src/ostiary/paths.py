"""Where the parts of one ostiary meet on disk: sockets, locks, keys and logs under its data directory.

Everything here is reachable by the owner alone: on these sockets the file system's permissions are the authentication.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary.errors import Invalid

# sockaddr_un.sun_path of unix(7) has 108 bytes, the last of which is NUL.
LONGEST_SOCKET: Final = 107
_LONGEST_NAME: Final = len("/control.sock")
_PRIVATE: Final = 0o700
_SHARED: Final = Path("/tmp")  # noqa: S108 (the folder in it is verified to be ours and private)


@dataclass(frozen=True)
class Paths:
    """The files of one data directory. Building it touches nothing; `prepare` makes the folders."""

    data_dir: Path

    @property
    def run(self) -> Path:
        """What lives only as long as processes do. Elsewhere, named by a hash, when the data directory's own name is too long."""
        # Resolved, so that two names of one directory cannot have two keepers.
        near = self.data_dir.resolve() / "run"
        if len(os.fsencode(near)) + _LONGEST_NAME <= LONGEST_SOCKET:
            return near
        # Not $TMPDIR: the control plane and the keeper must agree, whoever started them. `prepare` sees that it is ours.
        return _SHARED / f"ostiary-{os.geteuid()}-{hashlib.sha256(os.fsencode(near)).hexdigest()[:24]}"

    @property
    def control_socket(self) -> Path:
        """Where the control plane answers keepers."""
        return self.run / "control.sock"

    @property
    def api_socket(self) -> Path:
        """Where the API answers the door to enrolment."""
        return self.run / "api.sock"

    @property
    def console_socket(self) -> Path:
        """Where the console and the API answer the console's door."""
        return self.run / "console.sock"

    @property
    def keeper_socket(self) -> Path:
        """Where the keeper answers its Envoy."""
        return self.run / "keeper.sock"

    @property
    def admin_socket(self) -> Path:
        """Envoy's admin interface."""
        return self.run / "admin.sock"

    @property
    def keeper_lock(self) -> Path:
        """Locked for as long as a keeper lives."""
        return self.run / "keeper.lock"

    @property
    def keeper_pid(self) -> Path:
        """Which process the keeper is."""
        return self.run / "keeper.pid"

    @property
    def envoy_pid(self) -> Path:
        """Which process the Envoy is, so that a new keeper finds it."""
        return self.run / "envoy.pid"

    @property
    def envoy_config(self) -> Path:
        """What Envoy is started with. Holds no secret."""
        return self.run / "envoy.json"

    @property
    def gateway(self) -> Path:
        """What a gateway keeps."""
        return self.data_dir / "gateway"

    @property
    def gateway_id(self) -> Path:
        """The gateway's name, made at its first start."""
        return self.gateway / "id"

    @property
    def gateway_key(self) -> Path:
        """Encrypts what the gateway keeps; mode 0600."""
        return self.gateway / "key"

    @property
    def last_good(self) -> Path:
        """The configuration the gateway serves when no control plane answers; encrypted."""
        return self.gateway / "last-good"

    @property
    def feed(self) -> Path:
        """Where Envoy, which is started in `gateway`, tells of requests and connections; the keeper takes it from here."""
        return self.gateway / "feed"

    @property
    def feed_written(self) -> Path:
        """How far that is in the access record."""
        return self.feed / "written"

    @property
    def sightings(self) -> Path:
        """Who was seen and the control plane has not been told of."""
        return self.gateway / "sightings"

    @property
    def denials(self) -> Path:
        """Who was refused and the control plane has not been told of."""
        return self.gateway / "denials"

    @property
    def rehearsals(self) -> Path:
        """Who would have been refused and the control plane has not been told of."""
        return self.gateway / "rehearsals"

    @property
    def recording(self) -> Path:
        """How the access record is kept and where it is sent to, for the keeper; `ostiary up` writes it. Holds no secret."""
        return self.gateway / "recording.json"

    @property
    def exports(self) -> Path:
        """How far the access record was sent on."""
        return self.gateway / "exports.json"

    @property
    def audit_head(self) -> Path:
        """The last signed head of the record."""
        return self.data_dir / "audit-head"

    @property
    def logs(self) -> Path:
        """What our processes wrote."""
        return self.data_dir / "logs"

    @property
    def envoy_log(self) -> Path:
        """What Envoy writes; the keeper reads it from here."""
        return self.logs / "envoy.log"

    @property
    def access_log(self) -> Path:
        """Requests and connections, a JSON object a line: a link to the file that grows; those before it are beside it."""
        return self.logs / "access.jsonl"

    @property
    def keeper_log(self) -> Path:
        """What a keeper writes that was started by `ostiary up`."""
        return self.logs / "keeper.log"

    def prepare(self) -> None:
        """Make the private folders, and see that they are private. Raises `Invalid` naming the one that is not."""
        for folder in (self.data_dir, self.run, self.gateway, self.feed, self.logs):
            try:
                folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            except OSError as err:
                raise Invalid("data_dir", f"cannot make the folder {folder}: {err.strerror}; choose another --data-dir") from err
        for folder in (self.run, self.gateway, self.feed, self.logs):
            _make_private(folder)


def _make_private(folder: Path) -> None:
    # Opened without following links: in a shared /tmp somebody else may have put a link or a folder there before us.
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as err:
        raise Invalid("data_dir", f"{folder} is not a folder of our own ({err.strerror}); remove it") from err
    try:
        found = os.fstat(handle)
        if found.st_uid != os.geteuid():
            raise Invalid(
                "data_dir", f"{folder} belongs to user {found.st_uid}, not to us; remove it or choose another --data-dir"
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Invalid("data_dir", f"{folder} can be written to by others, who may have done so; remove it")
        if stat.S_IMODE(found.st_mode) != _PRIVATE:
            os.fchmod(handle, _PRIVATE)
    finally:
        os.close(handle)
