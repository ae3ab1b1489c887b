"""What the API may see of a worker, as types: whoever owns the state hands it over like this. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from rumbo.core.account import Account
from rumbo.core.instant import Instant
from rumbo.core.profile import Profile
from rumbo.core.program import Program
from rumbo.core.tally import Tally
from rumbo.serve.live import Live
from rumbo.topology import Topology


class Entry(msgspec.Struct, array_like=True):
    """One interaction, or (with no name) an instant at which timers came due, with what was decided then, as CloudEvents in JSON."""

    order: int
    at: Instant
    name: str | None = None
    id: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    decisions: list[bytes] = []
    more: int = 0


class Owner(NamedTuple):
    """Who answers for a customer: this worker, another one (`url`), or (neither) nobody now, and `why`."""

    here: bool
    url: str | None = None
    why: str = ""


class Found(NamedTuple):
    """A profile as committed, and the clock of its partition."""

    profile: Profile
    clock: Instant


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker, now."""

    worker: str
    """Its URL, or empty where it has none for others."""
    ready: bool
    partitions: tuple[int, ...]
    interactions: int
    """Since it began: the difference of two answers is the throughput."""
    decisions: int
    lag_records: int
    clock: str | None
    """The earliest clock of its partitions."""


class State(Protocol):
    """A worker's state, as far as it is shown."""

    topology: Topology
    program: Program
    live: Live
    partitions: int
    """Of the topology, on all workers."""

    def owner(self, customer: str) -> Owner:
        """Who has this customer."""

    def customer(self, customer: str) -> Found | None:
        """The customer's profile; None where nothing is known of them. Only where `owner` said here."""

    def journal(self, customer: str) -> list[Entry]:
        """The customer's journal, the last entry first."""

    def account_owner(self, account: str) -> Owner | None:
        """Who has this account; None where the topology has no accounts."""

    def account(self, account: str) -> Account | None:
        """The account as committed; None where nothing is known of it. Only where `account_owner` said here."""

    def account_journal(self, account: str) -> list[Entry]:
        """The account's journal, the last entry first."""

    def tally(self) -> Tally:
        """The customers of this worker's partitions."""

    def status(self) -> WorkerStatus:
        """How the worker is."""

    def peers(self) -> Mapping[str, frozenset[int]]:
        """The other workers: URL -> the partitions that the group gave them."""
