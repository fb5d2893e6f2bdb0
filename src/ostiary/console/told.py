"""What somebody else changed while one was editing the same thing, setting by setting."""

from typing import Any

from pydantic import BaseModel

from ostiary.console import forms
from ostiary.console.visit import Visit
from ostiary.errors import Overtaken


def told(visit: Visit, model: type[BaseModel], meanwhile: Overtaken) -> dict[str, Any]:
    """Who it was, and each setting as people call it, as it was and as it is."""
    rows = [(_label(visit, model, name), forms.plain(was), forms.plain(now)) for name, (was, now) in meanwhile.changes.items()]
    return {"actor": meanwhile.actor, "rows": rows}


def _label(visit: Visit, model: type[BaseModel], name: str) -> str:
    return forms.made(visit, model, [name], {})[name].label if name in model.model_fields else name
