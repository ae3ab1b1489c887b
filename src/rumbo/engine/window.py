"""The worker's state as the HTTP API sees it: committed profiles from the stores that are owned, and who owns the others.

It reads on the loop that writes, between two pieces of a batch, so that nobody waits for a whole one. What it sees is committed and whole:
profiles and journals are read from the store, clock and tally as of the last commit. It never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rumbo.core import tally as counts
from rumbo.core.account import Account, load
from rumbo.core.instant import isoformat
from rumbo.core.profile import DUE_BYTES
from rumbo.core.tally import Tally
from rumbo.engine import journal
from rumbo.engine.accounts import account_key
from rumbo.engine.carrier import Carrier
from rumbo.engine.place import place_of
from rumbo.engine.store import Store
from rumbo.serve.state import Entry, Found, Owner, WorkerStatus

Shares = Callable[[], Mapping[str, Mapping[str, Any]]]
"""What the group gave to whom: URL -> topic -> partitions."""


class Window:
    """One worker, seen from outside."""

    def __init__(self, carriers: tuple[Carrier, ...], url: str) -> None:
        self._carriers, self._carrier, self._url = carriers, carriers[0], url
        self._hearing = next((each for each in carriers if each.stage.accounts is not None), None)
        """Who has the accounts."""
        stage = self._carrier.stage
        self.topology, self.program, self.live = stage.topology, stage.program, stage.live
        self.partitions = stage.partitions
        self.shares: Shares = dict
        """Told by the group's assignment, once there is one."""

    def owner(self, customer: str) -> Owner:
        """Who has this customer, by murmur2 of the id. A partition that is being taken over answers nobody yet."""
        return self._owner(self._carrier, customer)

    def _owner(self, carrier: Carrier, key: str) -> Owner:
        stage, number = carrier.stage, place_of(key.encode(), carrier.stage.partitions)
        if carrier.recovered.is_set() and number in carrier.workers:
            return Owner(here=True)
        owners = [url for url, numbers in self._assigned(carrier).items() if number in numbers]
        if not owners:
            return Owner(here=False, why=f"no worker owns partition {number} of {stage.topology.name} now")
        if self._url in owners:
            return Owner(here=False, why=f"partition {number} of {stage.topology.name} is being recovered")
        if not owners[0].startswith("http"):
            return Owner(here=False, why="the worker that has the partition serves no HTTP")
        return Owner(here=False, url=owners[0])

    def customer(self, customer: str) -> Found | None:
        """The profile as committed."""
        key, stage = b"p" + customer.encode(), self._carrier.stage
        home = place_of(customer.encode(), stage.partitions)
        numbers = [home]
        if stage.topology.keys == "count":  # producers may place by another hash: what is here is found
            numbers += [number for number in self._carrier.workers if number != home]
        for number in numbers:
            worker = self._carrier.workers[number]
            value = worker.store.get_many([key])[0]
            if value is not None:
                return Found(self.program.load(customer, value[DUE_BYTES:]), worker.now)
        return None

    def journal(self, customer: str) -> list[Entry]:
        """The customer's journal, wherever it is kept here."""
        kept = self.topology.journal
        if not kept:
            return []
        home = place_of(customer.encode(), self._carrier.stage.partitions)
        numbers = sorted(self._carrier.workers, key=lambda number: number != home)
        if self.topology.keys != "count":
            numbers = [home]
        for number in numbers:
            if found := journal.read(self._carrier.workers[number].store, customer, kept):
                return found
        return []

    def account_owner(self, account: str) -> Owner | None:
        """Who has this account; None where the topology has none."""
        return self._owner(self._hearing, account) if self._hearing is not None else None

    def account(self, account: str) -> Account | None:
        """The account as committed."""
        store = self._account_store(account)
        value = store.get_many([account_key(account)])[0] if store is not None else None
        return load(value) if value is not None else None

    def account_journal(self, account: str) -> list[Entry]:
        """The account's journal."""
        store, kept = self._account_store(account), self.topology.journal
        return journal.read(store, account, kept) if store is not None and kept else []

    def _account_store(self, account: str) -> Store | None:
        carrier = self._hearing
        worker = carrier.workers.get(place_of(account.encode(), carrier.stage.partitions)) if carrier is not None else None  # fmt: skip
        return worker.store if worker is not None else None

    def tally(self) -> Tally:
        """The customers of the partitions owned."""
        return counts.total(worker.notes.committed_tally() for worker in self._carrier.workers.values())

    def status(self) -> WorkerStatus:
        """How the worker is."""
        workers = self._carrier.workers
        clocks = [worker.now for worker in workers.values() if worker.now]
        return WorkerStatus(
            worker=self._url,
            ready=all(each.recovered.is_set() for each in self._carriers),
            partitions=tuple(sorted(workers)),
            interactions=self.live.interactions,
            decisions=self.live.decisions,
            lag_records=sum(each.lag() for each in self._carriers),
            clock=isoformat(min(clocks)) if clocks else None,
        )

    def peers(self) -> Mapping[str, frozenset[int]]:
        """The other workers, by what the group gave them."""
        assigned = self._assigned(self._carrier).items()
        return {url: numbers for url, numbers in assigned if numbers and url != self._url and url.startswith("http")}

    def _assigned(self, carrier: Carrier) -> dict[str, frozenset[int]]:
        changelog = carrier.stage.changelog
        return {str(url): frozenset(topics.get(changelog, ())) for url, topics in self.shares().items()}
