"""The second stage of a topology with accounts: it hears what contacts are now, keyed by account, by the same batch protocol.

The stage that decides writes changes of contacts to a topic of the topology's own, each to the partition of its account, within its own
transactions; here they are read committed, and accounts, decisions and position commit together again. It decides nothing: that is the
account machine's (`core.rollup`).
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from rumbo.core.account import Account, ContactChange, dump, load
from rumbo.engine.partition import BREATH, Groups, PartitionWorker

_change: Final = msgspec.json.Decoder(ContactChange).decode
NOT_A_CHANGE: Final = "not_a_contact_change"


def account_key(account: str) -> bytes:
    """The row of an account."""
    return b"a" + account.encode()


class AccountWorker(PartitionWorker):
    """One partition of the accounts. It has no clock to keep and no timers: time passes with its contacts."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._accounts: dict[str, Account] = {}
        """Those that the transaction under way has changed."""

    async def _step(self, topic: str, records: Sequence[Any], groups: Groups) -> None:
        """Take each change in the order of the topic; what somebody else wrote there is passed over and counted."""
        machine, taken = self.stage.accounts, 0
        assert machine is not None  # noqa: S101  the stage that hears has it
        for first in range(0, len(records), BREATH):
            async with self.stage.turn:
                await sleep(0)
                changes = self._changes(topic, records[first : first + BREATH])
                self._read_accounts({each.account for each in changes})
                taken += len(changes)
                made = [decision for each in changes for decision in machine.step(self._accounts[each.account], each)]
                self._encode(made, groups)
        self.stage.metrics.heard(topic, len(records), taken, machine.stats)

    def _changes(self, topic: str, records: Sequence[Any]) -> list[ContactChange]:
        found: list[ContactChange] = []
        for each in records:
            try:
                found.append(_change(each.value or b""))
            except msgspec.MsgspecError:
                self.stage.metrics.ignored(topic, NOT_A_CHANGE)
        return found

    def _read_accounts(self, accounts: set[str]) -> None:
        """Read the accounts that are not open yet."""
        unknown = [each for each in accounts if each not in self._accounts]
        values = self.store.get_many([account_key(each) for each in unknown])
        for name, value in zip(unknown, values, strict=True):
            self._accounts[name] = load(value) if value is not None else Account(name)

    def _changed(self) -> list[tuple[bytes, bytes | None]]:
        return [(account_key(name), dump(account)) for name, account in self._accounts.items()]

    def _forget(self) -> None:
        super()._forget()
        self._accounts = {}

    def has_to_look(self) -> bool:
        """Never: nothing here is due at an instant."""
        return False
