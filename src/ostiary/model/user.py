"""Users: people who sign in to the console with a client certificate of their own."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from ostiary.model.access import Holders
from ostiary.model.fields import Text, setting
from ostiary.model.resource import Resource
from ostiary.model.token import Role


def _somebodys(certificate: Holders) -> Holders:
    if certificate.anybody:
        raise ValueError("say whose certificate it is: without a condition everybody would sign in as this user")
    return certificate


class User(Resource):
    """A person, what they may do, and which certificate is theirs."""

    name: Annotated[Text, StringConstraints(min_length=1)] = setting(
        description="What the record calls them; an access token of this name is the same person's.", fixed=True
    )
    role: Role = setting(description="What they may do: admin, operator or auditor.")
    certificate: Annotated[Holders, AfterValidator(_somebodys)] = setting(
        description="Which certificate is theirs; at least one condition, and no other user's may fit it too."
    )
    let_in_by: tuple[Text, ...] = setting((), "Who made or changed them, and who let these in.", derived=True, label="Let in by")
    break_glass_id: str | None = setting(
        None, "The emergency in which they were let in or changed.", derived=True, label="Let in in an emergency"
    )
