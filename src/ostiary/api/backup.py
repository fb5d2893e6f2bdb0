"""/v1/backup: everything, encrypted, while it runs."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.api.nouns import wrapped
from ostiary.model.backup import NewBackup
from ostiary.ops import backups

New: Final = wrapped("backup", NewBackup)
router = APIRouter(prefix="/v1/backup", tags=["backup"])


@router.post("", dependencies=[may("backup:make", "backup:finish")], **described(200, takes=New))
def make(system: Sys, caller: Who, raw: Raw) -> StreamingResponse:
    """Make a backup: an encrypted file, as `ostiary backup` writes it and `ostiary restore` reads it.

    It is whole when the reply ends as HTTP says; what breaks off is refused by whatever reads it.
    """
    body: Any = decode(raw, New)
    pieces = backups.make(system, caller, body.backup.passphrase.encode(), with_kek=body.backup.with_kek)
    headers = {"content-disposition": f'attachment; filename="ostiary-{system.clock():%Y%m%d-%H%M%S}.backup"'}
    return StreamingResponse(_closing(pieces), media_type="application/octet-stream", headers=headers)


async def _closing(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same; whoever hangs up does not keep the database's past alive."""
    try:
        async for piece in iterate_in_threadpool(pieces):
            yield piece
    finally:
        pieces.close()  # type: ignore[attr-defined]  # it is a generator; and whoever was cancelled can wait for nothing
