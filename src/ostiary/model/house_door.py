"""Doors of our own: where certificates are asked for, and where the console is. Where each is, and by which names it is known."""

from typing import Annotated, Literal

from pydantic import Field

from ostiary.model.fields import Data, IPAddress, Port, Text

# The kind is also what such a door is called in place of a listener's id.
HouseDoorKind = Literal["enrolment", "console"]


class HouseDoor(Data):
    """Where holders enrol and renew, or where people come to the console.

    `names` are host names and addresses that it is reached by, the first of them in links. `socket` is the path of the Unix
    socket on which we answer what comes by it. With `demands_certificate`, nobody gets as far as that without a client
    certificate.
    """

    kind: HouseDoorKind
    address: IPAddress
    port: Port
    names: Annotated[tuple[Text, ...], Field(min_length=1)]
    socket: str
    demands_certificate: bool = False

    @property
    def title(self) -> str:
        """What people call it."""
        return "the door to enrolment" if self.kind == "enrolment" else "the console's door"

    @property
    def url(self) -> str:
        """The base of every link to it."""
        host = self.names[0]
        return f"https://[{host}]:{self.port}" if ":" in host else f"https://{host}:{self.port}"
