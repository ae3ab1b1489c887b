"""Accounts on a real Kafka: contacts in every partition, two stages, a kill -9 in either of them and an empty disk after it."""

from __future__ import annotations

import json
import random
import urllib.request
from collections import Counter

import msgspec
import pytest

from rumbo.core.account import RECENT
from rumbo.core.instant import isoformat, parse_instant
from rumbo.core.retraction import net
from rumbo.engine.broker import changelog_of, contacts_of
from rumbo.intake import Record
from rumbo.local import Local, account_view
from tests.broker.bench import PARTITIONS, Bench
from tests.conftest import long
from tests.engine.test_accounts import stands

pytestmark = pytest.mark.broker
START = parse_instant("2026-01-01T00:00:00Z")
END = "2027-01-01T00:00:00Z"
EVENTS = 1_500
CONTACTS, ACCOUNTS = 60, 24
NAMES = ("Asset Downloaded", "Trial Started", "Account Created", "Report Exported", "Demo Requested", "Page Viewed", "Subscription Cancelled", "Account Removed User")  # fmt: skip


def lives(seed):
    """What the contacts of a few accounts do, each in their own partition: (partition, key, value) in the order of time."""
    from benchmarks.generate import murmur2

    chance, at = random.Random(seed), START
    for number in range(EVENTS):
        at += chance.randrange(1, 400) * 60_000_000
        who, account = f"u{chance.randrange(CONTACTS)}", f"company {chance.randrange(ACCOUNTS)}"
        said = {
            "type": "track",
            "event": chance.choice(NAMES),
            "properties": {"asset": chance.choice("abc"), "path": "/pricing"},
        }
        if chance.random() < 0.4:
            said = {
                "type": "identify",
                "traits": {"role": chance.choice(["champion", "Decision Maker", "user"])},
                "context": {"groupId": account},
            }
        said |= {"userId": who, "messageId": f"m{number}", "timestamp": isoformat(at)}
        yield murmur2(who.encode()) % PARTITIONS, who.encode(), json.dumps(said).encode()


def fold(bench, records):
    """What customers and accounts come to, record by record."""
    local, offsets, made = Local(bench.topology), Counter(), []
    for number, key, value in records:
        made += local.send(Record(bench.source, number, offsets[number], -1, key, value))
        offsets[number] += 1
    return local, made + local.until(parse_instant(END))


def shown(worker, account):
    """The account over HTTP; None while it cannot be told."""
    name = urllib.request.quote(account, safe="")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/v1/accounts/{name}", timeout=3) as answer:
            return json.loads(answer.read())
    except OSError:
        return None


@pytest.mark.parametrize("killed", ["after_end:14", *long("", "before_end:9", "end_sent:11", "after_produce:16")])
def test_accounts_stand_where_their_contacts_put_them_and_nothing_is_told_twice(bootstrap, tmp_path, killed):
    """Exactly once through both stages; what stands is what the core says, whichever partition was ahead."""
    edit = lambda text: text.replace("lateness: 10m", "lateness: 0s").replace("clock: live", "clock: log")
    bench = Bench(bootstrap, tmp_path, "saas", edit=edit)
    try:
        records = list(lives(seed=7))
        bench.produce(records[: EVENTS // 2])
        if killed:
            assert bench.worker("victim", RUMBO__FAILPOINT=killed, RUMBO__MAX_BATCH="60").wait() == -9
        bench.produce(records[EVENTS // 2 :])
        bench.clock(END)
        local, made = fold(bench, records)
        worker = bench.worker("successor")
        wanted = {name: json.loads(msgspec.json.encode(account_view(each))) for name, each in local.accounts.items()}
        assert len(wanted) == ACCOUNTS
        assert not local.counts["contact_change_beyond"]
        for name, account in wanted.items():
            worker.until(lambda name=name, account=account: shown(worker, name) == account)
        ids = {
            each.id
            for each in made
            if not each.kind.startswith("account.") and "account" not in msgspec.to_builtins(each.data)
        }
        of_accounts = {each.id for each in net(made).values() if each.kind.startswith("account.")}
        told = [
            json.loads(each.value)
            for topic in (bench.topology.outputs.accounts, bench.topology.outputs.corrections)
            for each in bench.read(topic)
        ]
        mine = [each for each in told if "account" in each["data"]]
        assert stands(mine) == of_accounts
        assert max(Counter(each["id"] for each in mine).values()) == 1
        written = Counter(each["id"] for each in bench.decisions() if "account" not in each["data"])
        assert set(written) == ids
        assert max(written.values()) == 1
        kept = {each.key for each in bench.read(changelog_of(bench.topology, "accounts")) if each.key[:1] == b"a"}
        assert kept == {b"a" + name.encode() for name in wanted}
        changes = Counter(each.key for each in bench.read(contacts_of(bench.topology)))
        assert max(changes.values()) <= RECENT, "else some may come from beyond the reach, and stand where they come"
        worker.until(lambda: worker.metric("rumbo_consumer_lag_records", topic=contacts_of(bench.topology)) == 0)
        if not killed:
            assert worker.metric("rumbo_contact_changes_total") == changes.total()
        assert worker.end() == 0
    finally:
        bench.stop()
