"""A topology as checked data: one deployable whole of sources, journeys and outputs."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Literal

import msgspec

from rumbo.core.definition import Accounts, Contact, Derived, Journey, Late
from rumbo.core.instant import MINUTE, Duration
from rumbo.core.program import Program
from rumbo.core.refold import Refolder, Remembering
from rumbo.core.rollup import AccountMachine
from rumbo.intake import SourceFormat
from rumbo.output import Mode, OutputTopics

LATENESS: Final = 10 * MINUTE


class Source(msgspec.Struct, frozen=True):
    """A raw topic. `keyed`: its record keys are customers, else it is re-keyed. `lateness` in microseconds, 0 for one in order."""

    topic: str
    reading: SourceFormat = SourceFormat()
    keyed: bool = True
    lateness: Duration = LATENESS

    @property
    def dead_letters(self) -> str:
        """Where its rejects go."""
        return f"{self.topic}.dlq"


class Topology(msgspec.Struct, frozen=True):
    """One topology. `texts` holds the author's files by name; `fingerprint` changes with any decision-relevant word."""

    name: str
    sources: tuple[Source, ...]
    journeys: tuple[Journey, ...]
    start: Literal["earliest", "latest"] = "earliest"
    clock: Literal["live", "log"] = "live"
    zone: str = "UTC"
    keys: Literal["count", "strict"] = "count"
    outputs: OutputTopics = OutputTopics()
    mode: Mode = "structured"
    dlq_payload: Literal["keep", "drop"] = "keep"
    dlq_limit: float = 0.2
    """Share of rejects among the last records that stops a worker rather than emptying a topic into the dead letters."""
    ring: int = 64
    contact: Contact = Contact()
    derived: Derived = Derived()
    accounts: Accounts | None = None
    late: Late = Late()
    journal: int = 0
    """Interactions without a decision, and interactions with one, that are kept of each customer for the customer view."""
    texts: dict[str, str] = {}

    @property
    def fingerprint(self) -> str:
        """A hash of what decides: the checked journeys, the terms of contact and what is derived, not their comments."""
        contact = msgspec.json.encode(self.contact) if self.contact != Contact() else b""
        derived = msgspec.json.encode(self.derived) if self.derived != Derived() else b""
        accounts = msgspec.json.encode(self.accounts) if self.accounts is not None else b""
        return sha256(msgspec.json.encode(self.journeys) + contact + derived + accounts).hexdigest()[:16]

    def program(self) -> Program:
        """The journeys, compiled."""
        return Program(
            self.name, self.journeys, ring_size=self.ring, zone=self.zone, contact=self.contact, derived=self.derived,
            accounts=self.accounts,
        )  # fmt: skip

    def refolder(self, program: Program) -> Refolder | None:
        """What puts late interactions in their place; None where they count as they come."""
        if self.late.policy == "process":
            return None
        return Refolder(program, self.late, f"{self.fingerprint}/{self.zone}/{self.ring}")

    def steps(self, program: Program) -> Program | Remembering:
        """What steps the customers of one partition in memory: the program, or what puts late interactions in their place."""
        refolder = self.refolder(program)
        return program if refolder is None else Remembering(program, refolder)

    def account_machine(self) -> AccountMachine | None:
        """The accounts, compiled; None where the topology has none."""
        if self.accounts is None:
            return None
        journey = next(each for each in self.journeys if each.id == self.accounts.journey)
        return AccountMachine(self.name, journey, self.accounts)

    def source(self, topic: str) -> Source:
        """The source of a topic; a record from a file (topic `-`) or an unknown topic is read like the first."""
        return next((each for each in self.sources if each.topic == topic), self.sources[0])
