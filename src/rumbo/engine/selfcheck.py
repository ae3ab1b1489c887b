"""Whether the Faust and aiokafka underneath are the ones that this engine was built on: versions, and what it reaches into.

The engine replaces a few internals. A change there would not be an error but a silent wrong, so a worker does not start on it.
"""

from __future__ import annotations

import inspect
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final

from rumbo.errors import InternalError

VERSIONS: Final = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0", "rocksdict": "0.3.29"}

FINGERPRINTS: Final = {
    "faust.transport.consumer:Consumer._drain_messages": "b83805066500",
    "faust.transport.consumer:Consumer.on_partitions_revoked": "66b29e042e71",
    "faust.transport.consumer:Consumer.perform_seek": "296e8bdf732e",
    "faust.transport.consumer:Consumer.wait_empty": "2e97a04128b3",
    "faust.transport.consumer:Consumer.commit": "1a58d3f27c0f",
    "faust.transport.consumer:Consumer.seek_to_committed": "a9c0c63547b6",
    "faust.transport.consumer:Consumer.ack": "30d252cecf67",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._create_worker_consumer": "3ecd715439ef",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._fetch_records": "81fd472cfa44",
    "faust.tables.recovery:Recovery._restart_recovery": "a4284508c1e2",
    "faust.tables.recovery:Recovery._resume_streams": "bde2e5a7f605",
    "faust.tables.recovery:Recovery.on_rebalance": "d664a5cc1cd5",
    "aiokafka.producer.sender:EndTxnHandler.handle_response": "db01a935855e",
    "aiokafka.producer.sender:Sender._find_coordinator": "030c0d77c7ac",
    "aiokafka.producer.transaction_manager:TransactionManager.complete_transaction": "a5f29e674040",
    "aiokafka.consumer.fetcher:Fetcher.fetched_records": "1ac8c6f8bc14",
    "aiokafka.consumer.fetcher:FetchResult.getall": "f949de0e4990",
    "rumbo.engine.fetched:TheirRecords.__init__": "4e8c313f64cc",
    "rumbo.engine.fetched:TheirRecords.__next__": "0ff7a738057b",
    "rumbo.engine.fetched:TheirRecords._unpack_records": "1fc3eb8005dc",
}


def fingerprint(place: str) -> str:
    """A hash of the source of `module:Class.function`, without blank lines and indentation."""
    module, _, path = place.partition(":")
    found: Any = __import__(module, fromlist=["_"])
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    found = getattr(found, "fun", found)  # a service task stands in a wrapper
    source = "".join(line.strip() for line in inspect.getsource(getattr(found, "__wrapped__", found)).splitlines())
    return sha256(source.encode()).hexdigest()[:12]


def check() -> None:
    """Raise InternalError where something underneath is not what the engine was built on."""
    wrong = [
        f"{name} is {version(name)}, and must be {wanted}"
        for name, wanted in VERSIONS.items()
        if version(name) != wanted
    ]
    wrong += [f"{place} has changed" for place, wanted in FINGERPRINTS.items() if fingerprint(place) != wanted]
    if wrong:
        raise InternalError("the libraries underneath are not those of requirements.lock: " + "; ".join(wrong))
