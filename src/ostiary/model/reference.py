"""How one resource refers to another's material: an href, as OpenStack clients write it, or a bare id."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ostiary.errors import Invalid
from ostiary.model.access import AccessRule
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.model.secret import Container

RefKind = Literal["authority", "secret", "container"]

_UUID = r"(?P<id>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
_HREF = re.compile(rf"^(?:https?://[^/\s]+)?/?(?:v1/)?(?P<plural>authorities|secrets|containers)/{_UUID}/?$")
_BARE = re.compile(rf"^{_UUID}$")
_KINDS: dict[str, RefKind] = {"authorities": "authority", "secrets": "secret", "containers": "container"}


@dataclass(frozen=True)
class Ref:
    """What a reference points at; `kind` is None when only an id was given."""

    kind: RefKind | None
    id: str


@lru_cache(maxsize=65_536)  # many are asked for with each change, and the same text always means the same
def parse(text: str, field: str) -> Ref:
    """Read a reference. The host in it is not looked at: only what is in this system can be referred to."""
    if match := _HREF.match(text):
        return Ref(_KINDS[match["plural"]], match["id"])
    if match := _BARE.match(text):
        return Ref(None, match["id"])
    raise Invalid(field, f"'{text}' is not a reference such as /v1/secrets/ID, /v1/containers/ID or /v1/authorities/ID")


def references(thing: object) -> Iterator[tuple[str, str]]:
    """Each reference a thing holds: the field's name and the text."""
    if isinstance(thing, Listener):
        for name in ("default_tls_container_ref", "client_ca_tls_container_ref", "client_crl_container_ref"):
            if text := getattr(thing, name):
                yield name, text
        yield from (("sni_container_refs", text) for text in thing.sni_container_refs)
    elif isinstance(thing, Pool):
        for name in ("tls_container_ref", "ca_tls_container_ref", "crl_container_ref"):
            if text := getattr(thing, name):
                yield name, text
    elif isinstance(thing, AccessRule):
        yield from (("certificate.authority_ids", text) for text in thing.certificate.authority_ids)
    elif isinstance(thing, Container):
        yield from (("secret_refs", part.secret_ref) for part in thing.secret_refs)
