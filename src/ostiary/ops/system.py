"""What every use case needs, put together once in `serve`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ostiary.clock import Clock, is_synchronised, now
from ostiary.kept import Kept
from ostiary.model.house_door import HouseDoor, HouseDoorKind
from ostiary.ops.adding_up import GatewayNumbers
from ostiary.ops.anchor import Anchor
from ostiary.ops.answers import Answers
from ostiary.ops.counting import Counting
from ostiary.ops.crew import Crew
from ostiary.ops.custodians import Custodians
from ostiary.ops.effects import Effects
from ostiary.ops.emergencies import Emergencies
from ostiary.ops.fleet import Fleet
from ostiary.ops.meters import Meters
from ostiary.ops.refused_calls import RefusedCalls
from ostiary.ops.setup import Setup
from ostiary.ops.since import Since
from ostiary.ops.tally import Tally
from ostiary.ops.verifying import Verifying
from ostiary.ops.watch import Watch
from ostiary.pki.sealing import Sealer
from ostiary.signers import Signers
from ostiary.store.store import Store
from ostiary.tracing import Take


@dataclass(frozen=True)
class System:
    """The store, the key-encryption key, the time, and what the gateways have. `committed` is called after each commit.

    `doors` are those of our own: to enrolment, and the console's, where there are such. Below `public_url` anybody finds
    revocation lists and OCSP answers; certificates say so when it is set.
    """

    store: Store
    sealer: Sealer
    clock: Clock = now
    fleet: Fleet = field(default_factory=Fleet)
    committed: Callable[[int], None] = lambda _revision: None
    custody: Custodians = field(default_factory=Custodians)
    desks: Kept = field(default_factory=lambda: Kept(64))  # see ops.desk
    linted: Kept = field(default_factory=lambda: Kept(1000))  # see ops.relint
    presented: Kept = field(default_factory=lambda: Kept(2000))  # see ops.served
    signers: Signers = field(default_factory=Signers)
    rush: Crew = field(default_factory=Crew)  # of those who issue where many ask, see ops.rush
    answers: Answers = field(default_factory=Answers)  # see ops.ocsp
    doors: tuple[HouseDoor, ...] = ()
    public_url: str = ""
    watch: Watch = field(default_factory=Watch)  # of imported authorities' lists and responders
    effects: Effects = field(default_factory=Effects)  # how soon changes are in force at each gateway
    counting: Counting = field(default_factory=Counting)  # how much comes through, see ops.traffic
    gateway_numbers: GatewayNumbers = field(default_factory=GatewayNumbers)  # what they count, for a monitoring system
    traced: Take | None = None  # who takes spans, see tracing; nobody, unless it is asked for
    meters: Meters = field(default_factory=Meters)  # of our own work
    admin_id: str = "admin-"  # what stands for the admin token on record, see ops.people
    failed_sign_ins: Tally = field(default_factory=Tally)
    refused_calls: RefusedCalls = field(default_factory=RefusedCalls)
    emergencies: Emergencies = field(default_factory=Emergencies)  # see ops.break_glass
    verifying: Verifying = field(default_factory=Verifying)
    anchor: Anchor = field(default_factory=Anchor)  # the last signed head of the record, where the database is not
    since: Since = field(default_factory=Since)  # of warnings, see ops.watching
    setup: Setup = field(default_factory=Setup)  # how it was started, for people to see
    synchronised: Callable[[], bool | None] = is_synchronised  # the clock of this machine, with a trusted one
    keepsakes: Callable[[], Mapping[str, bytes]] = dict  # the small files that belong into a backup, see ops.backups

    def door(self, kind: HouseDoorKind) -> HouseDoor | None:
        """The door of that kind; None where there is none."""
        return next((door for door in self.doors if door.kind == kind), None)
