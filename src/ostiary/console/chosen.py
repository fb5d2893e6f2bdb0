"""What somebody chose of a thing's settings: those that are not as they would be if nobody had said anything."""

from collections.abc import Iterable

from ostiary.console import differences
from ostiary.console.differences import Change, Row
from ostiary.console.visit import Visit
from ostiary.model.resource import Resource


def rows(visit: Visit, kind: str, thing: Resource, *, but: Iterable[str]) -> tuple[Row, ...]:
    """Label and value of each, with links to what it names; without those that stand elsewhere on the page."""
    left_out = set(but)
    document = {name: value for name, value in thing.model_dump(mode="json").items() if name not in left_out}
    (it,) = differences.told(visit, [Change(kind, thing.id, None, document)], only_settings=True)
    return it.rows
