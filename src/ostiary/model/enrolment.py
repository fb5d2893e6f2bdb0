"""The door at which certificates are asked for: where it is, and by which names it is known."""

from typing import Annotated

from pydantic import Field

from ostiary.model.fields import Data, IPAddress, Port, Text


class EnrolmentDoor(Data):
    """Where holders enrol and renew. `names` are host names and addresses that it is reached by, the first of them in links.

    `socket` is the path of the Unix socket on which the API answers it.
    """

    address: IPAddress
    port: Port
    names: Annotated[tuple[Text, ...], Field(min_length=1)]
    socket: str

    @property
    def url(self) -> str:
        """The base of every link to it."""
        host = self.names[0]
        return f"https://[{host}]:{self.port}" if ":" in host else f"https://{host}:{self.port}"
