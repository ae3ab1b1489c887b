"""What a worker has to be allowed on the broker, and no more; and what somebody lacks of it.

The list is told by the topology alone. It grants nothing (`admin.grant` does), and nothing on the cluster is ever needed: a
transactional producer writes by its transactional id, topics are made beforehand, settings are read topic by topic.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from shlex import quote
from typing import Any, Final, Literal

import msgspec
from kafka import errors as kafka

from rumbo.engine.broker import changelog_of, needed, raw_of
from rumbo.errors import BrokerError
from rumbo.topology import Topology

COORDINATOR_SECONDS: Final = 10.0
_PAUSE: Final = 0.1
_NOT_ALLOWED: Final = 29
"""The code of TOPIC_AUTHORIZATION_FAILED."""
_OPERATIONS: Final = {
    "source": ("Read",),
    "dead letters": ("Write",),
    "re-keyed events": ("Read", "Write"),
    "contacts": ("Read", "Write"),
    "output": ("Write",),
    "progress": ("Write",),
    "control": ("Read",),
    "changelog": ("Read", "Write"),
}
"""What is done with a topic of each role. Read and Write include Describe."""


class Right(msgspec.Struct, frozen=True):
    """Operations on one resource. `prefixed`: on every resource whose name begins so."""

    resource: Literal["topic", "group", "transactional-id"]
    name: str
    operations: tuple[str, ...]
    role: str
    prefixed: bool = False


def rights(topology: Topology) -> list[Right]:
    """All that a worker needs. DescribeConfigs only where settings are compared before the start."""
    found: list[Right] = []
    for each in needed(topology, 1):
        asked = ("DescribeConfigs",) if each.settings else ()
        found.append(Right("topic", each.name, (*_OPERATIONS[each.role], *asked), each.role))
    found.append(Right("group", topology.name, ("Read",), "assignment, and offsets for lag tools"))
    accounts = ("accounts",) if topology.accounts is not None else ()
    for stage in ("profiles", *(("intake",) if raw_of(topology) else ()), *accounts):
        name = changelog_of(topology, stage).removesuffix("changelog")
        found.append(Right("transactional-id", name, ("Write",), "a producer a partition", prefixed=True))
    return found


def commands(found: list[Right], principal: str, broker: str) -> Iterator[str]:
    """The same for Kafka's own tool, a line each."""
    for each in found:
        operations = " ".join(f"--operation {operation}" for operation in each.operations)
        kind = " --resource-pattern-type prefixed" if each.prefixed else ""
        yield (
            f"kafka-acls.sh --bootstrap-server {quote(broker)} --command-config admin.properties --add "
            f"--allow-principal {quote(principal)} {operations} --{each.resource} {quote(each.name)}{kind}"
        )


def lacking(client: Any, wanted: list[Right]) -> Iterator[str]:
    """What whoever asks may not do, in words. A topic that does not exist is not told: others do."""
    topics = {each.name: each for each in wanted if each.resource == "topic"}
    for found in client.describe_topics(list(topics)):
        each, may = topics[found["name"]], found["authorized_operations"]
        if found["error_code"] == _NOT_ALLOWED:
            yield f"topic {each.name} ({each.role}): {' and '.join(each.operations)} (it is not even seen)"
        elif may is not None:
            missing = [operation for operation in each.operations if _wire(operation) not in may]
            if missing:
                yield f"topic {each.name} ({each.role}): {' and '.join(missing)}"
    for each in wanted:
        if each.resource == "group" and not _may_join(client, each.name):
            yield f"group {each.name}: Read"
        if each.resource == "transactional-id" and not _may_begin(client, each.name):
            yield f"transactional ids that begin with {each.name}: Write"


def _wire(operation: str) -> str:
    return "DESCRIBE_CONFIGS" if operation == "DescribeConfigs" else operation.upper()


def _may_join(client: Any, group: str) -> bool:
    """Of a group that was never there only whether it may be asked for is known."""
    try:
        found = _ask(lambda: client.describe_groups([group]))[group]["authorized_operations"]
    except kafka.GroupAuthorizationFailedError:
        return False
    return found is None or "READ" in found


def _may_begin(client: Any, prefix: str) -> bool:
    try:
        _ask(lambda: client.describe_transactions([f"{prefix}0"]))
    except kafka.TransactionalIdAuthorizationFailedError:
        return False
    except (kafka.TransactionalIdNotFoundError, kafka.UnsupportedVersionError):
        return True
    return True


def _ask(question: Callable[[], Any]) -> Any:
    """A broker that was just started has no coordinator yet."""
    until = time.monotonic() + COORDINATOR_SECONDS
    while True:
        try:
            return question()
        except (
            kafka.CoordinatorNotAvailableError,
            kafka.CoordinatorLoadInProgressError,
            kafka.NotCoordinatorError,
        ) as error:
            if time.monotonic() > until:
                raise BrokerError(f"no coordinator within {COORDINATOR_SECONDS:.0f} s ({error!r})") from None
            time.sleep(_PAUSE)
