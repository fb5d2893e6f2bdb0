"""Containers: a certificate, its key and what belongs to them under one reference."""

from ostiary.errors import Invalid
from ostiary.ids import new_id
from ostiary.model.query import Page, Query
from ostiary.model.reference import parse
from ostiary.model.secret import Container
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.secrets import refuse_if_held
from ostiary.ops.system import System
from ostiary.store.kinds import CONTAINER, SECRET


def create(system: System, caller: Caller, container: Container) -> Container:
    """Put secrets together. Raises `Invalid` for a part that is not there or given twice."""
    names = [part.name for part in container.secret_refs]
    for position, part in enumerate(container.secret_refs):
        if part.name in names[:position]:
            raise Invalid(f"secret_refs.{position}.name", f"'{part.name}' is given twice")
    with change(system, caller, "container:create") as transaction:
        for position, part in enumerate(container.secret_refs):
            field = f"secret_refs.{position}.secret_ref"
            ref = parse(part.secret_ref, field)
            if ref.kind not in {None, "secret"} or transaction.get(SECRET, ref.id) is None:
                raise Invalid(field, f"there is no secret {ref.id}")
        return transaction.insert(CONTAINER, container.model_copy(update={"id": new_id()}))


def get(system: System, caller: Caller, container_id: str) -> Container:
    """One container. Raises `NotFound`."""
    caller.must("container:read")
    with system.store.read() as reader:
        return reader.require(CONTAINER, container_id)


def find(system: System, caller: Caller, query: Query) -> Page[Container]:
    """Containers that match."""
    caller.must("container:read")
    with system.store.read() as reader:
        return reader.find(CONTAINER, query)


def delete(system: System, caller: Caller, container_id: str) -> None:
    """Remove a container that nothing refers to; its secrets stay."""
    with change(system, caller, "container:delete") as transaction:
        container = transaction.require(CONTAINER, container_id)
        refuse_if_held(transaction, CONTAINER, container)
        transaction.delete(CONTAINER, container)
