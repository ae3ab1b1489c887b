"""Every metric that a worker shows: name, kind, unit, labels, what it says. The one list; `docs/metrics.md` is written from it.

Names follow Prometheus: base units, `_total` for counters. No label ever holds a customer, an event's value or anything unbounded.

    python -m rumbo.observe.catalogue > docs/metrics.md
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Family(NamedTuple):
    """One metric. `unit`: what a value counts. `scraped`: read from the worker when asked, so that it is never stale."""

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    scraped: bool = False


_PLACE: Final = ("topic", "partition")
_SHARE: Final = ("stage", "partition")

CATALOGUE: Final = (
    # The process
    Family("rumbo_build_info", "gauge", "1", "The version that runs.", ("version",)),
    Family(
        "rumbo_definition_info",
        "gauge",
        "1",
        "The definition that runs: workers of one topology must agree.",
        ("topology", "fingerprint"),
    ),
    Family("rumbo_ready", "gauge", "bool", "Whether this worker has its partitions and reads on.", scraped=True),
    # What comes in
    Family("rumbo_events_received_total", "counter", "records", "Records read, by topic.", ("topic",)),
    Family("rumbo_events_processed_total", "counter", "interactions", "Interactions stepped, by topic.", ("topic",)),
    Family(
        "rumbo_events_rejected_total",
        "counter",
        "records",
        "Records that cannot be read, by topic and reason.",
        ("topic", "reason"),
    ),
    Family("rumbo_dlq_total", "counter", "records", "Records written to a dead-letter topic, by reason.", ("reason",)),
    Family("rumbo_events_coerced_total", "counter", "records", "What intake put right, by fix.", ("fix",)),
    Family(
        "rumbo_events_duplicate_total",
        "counter",
        "interactions",
        "Producers' repeats dropped: with the same body, or another.",
        ("body",),
    ),
    Family(
        "rumbo_events_late_total",
        "counter",
        "interactions",
        "Interactions before their customer's clock: counted as they came (`process`), put in their place (`refold`), or from beyond the "
        "reach (`beyond_journal`).",
        ("policy",),
    ),
    Family(
        "rumbo_events_rekeyed_total",
        "counter",
        "records",
        "Records passed on under their customer's id, by raw topic.",
        ("topic",),
    ),
    Family(
        "rumbo_events_misplaced_total",
        "counter",
        "customers",
        "Customers on a partition that is not murmur2 of their id.",
    ),
    Family(
        "rumbo_fields_mistyped_total",
        "counter",
        "interactions",
        "Interactions in which a field that a rule reads was of another type than it needs, or outside of its scale, so unknown to it.",
        ("journey", "rule", "field"),
    ),
    Family(
        "rumbo_profile_bound_total",
        "counter",
        "values",
        "What a profile would not hold, and what was said of something that the definitions lack, by bound.",
        ("bound",),
    ),
    Family(
        "rumbo_records_trimmed_total",
        "counter",
        "records",
        "Records read again after a restart and dropped by their position.",
    ),
    # How fast
    Family(
        "rumbo_event_processing_seconds",
        "histogram",
        "seconds",
        "From a batch taken to its transaction committed.",
        buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
    ),
    Family(
        "rumbo_end_to_end_seconds",
        "histogram",
        "seconds",
        "From the record's timestamp to its transaction committed, of the first record of each batch: it waited longest.",
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900),
    ),
    Family(
        "rumbo_batch_records",
        "histogram",
        "records",
        "Records in a batch.",
        buckets=(1, 5, 20, 100, 500, 1000, 2000, 5000),
    ),
    Family(
        "rumbo_consumer_lag_records",
        "gauge",
        "records",
        "Records between what is committed and the stable end of the topic.",
        _PLACE,
        scraped=True,
    ),
    Family(
        "rumbo_consumer_lag_seconds",
        "gauge",
        "seconds",
        "How long ago the last record taken was appended, while there is more to take; 0 where there is not.",
        _PLACE,
        scraped=True,
    ),
    Family(
        "rumbo_event_time_lag_seconds",
        "gauge",
        "seconds",
        "How long ago the latest event happened, by its own time.",
        _PLACE,
        scraped=True,
    ),
    # What is decided
    Family(
        "rumbo_stage_transitions_total",
        "counter",
        "transitions",
        "Moves between stages.",
        ("journey", "from_stage", "to_stage"),
    ),
    Family(
        "rumbo_stage_customers",
        "gauge",
        "customers",
        "Customers in a stage now, of the partitions of this worker.",
        ("journey", "stage"),
        scraped=True,
    ),
    Family(
        "rumbo_stage_dwell_seconds",
        "histogram",
        "seconds",
        "How long a customer had been in the stage that they left.",
        ("journey", "stage"),
        (60, 300, 1800, 3600, 21600, 86400, 259200, 604800, 2592000),
    ),
    Family(
        "rumbo_stage_signals_total",
        "counter",
        "outputs",
        "Stuck, unstable and suggested stages, by kind.",
        ("journey", "kind"),
    ),
    Family(
        "rumbo_segment_changes_total",
        "counter",
        "outputs",
        "Segments entered and left.",
        ("journey", "segment", "change"),
    ),
    Family("rumbo_score_changes_total", "counter", "outputs", "Score outputs.", ("journey",)),
    Family(
        "rumbo_score",
        "histogram",
        "points",
        "The value that a score output reports.",
        ("journey", "score"),
        (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100),
    ),
    Family(
        "rumbo_actions_total",
        "counter",
        "actions",
        "Actions by trigger and outcome: emitted, or the gate that held.",
        ("action", "outcome"),
    ),
    Family(
        "rumbo_flow_changes_total",
        "counter",
        "outputs",
        "Instances of flows begun, left and completed.",
        ("journey", "flow", "change"),
    ),
    Family(
        "rumbo_exposures_total",
        "counter",
        "customers",
        "Customers who were given a variant of an experiment.",
        ("experiment", "variant"),
    ),
    Family(
        "rumbo_decisions_retracted_total",
        "counter",
        "outputs",
        "Decisions withdrawn, by kind and reason (`reinstated`: a retraction that is itself withdrawn).",
        ("kind", "reason"),
    ),
    Family(
        "rumbo_events_quarantined_total",
        "counter",
        "outputs",
        "Clicks of scanners that were not counted, once a journey, by what gave them away.",
        ("suspicion",),
    ),
    Family(
        "rumbo_contact_changes_total",
        "counter",
        "changes",
        "Changes of contacts that accounts have taken.",
    ),
    Family(
        "rumbo_account_transitions_total",
        "counter",
        "transitions",
        "Accounts that moved between stages (`none`: no contact counts).",
        ("journey", "from_stage", "to_stage"),
    ),
    Family(
        "rumbo_account_score_changes_total", "counter", "outputs", "Score outputs of accounts.", ("journey", "score")
    ),
    # Time
    Family(
        "rumbo_partition_clock_seconds",
        "gauge",
        "seconds",
        "The clock of a partition as a Unix time.",
        ("partition",),
        scraped=True,
    ),
    Family(
        "rumbo_timers_pending",
        "gauge",
        "customers",
        "Customers who wait for an instant.",
        ("partition",),
        scraped=True,
    ),
    Family("rumbo_timers_fired_total", "counter", "customers", "Customers whose timers came due."),
    Family(
        "rumbo_timer_delay_seconds",
        "histogram",
        "seconds",
        "From the due instant of a timer until it fired, of the oldest of each chunk; by the wall where the topology lives by it, "
        "else by the partition's clock. The allowed lateness is part of it.",
        buckets=(0.1, 1, 10, 60, 300, 600, 900, 1800, 3600, 21600, 86400),
    ),
    # State and the group
    Family("rumbo_state_keys", "gauge", "keys", "Keys in the store of a partition, about.", _SHARE, scraped=True),
    Family("rumbo_state_bytes", "gauge", "bytes", "Bytes of the store of a partition, about.", _SHARE, scraped=True),
    Family(
        "rumbo_recovery_remaining_records",
        "gauge",
        "records",
        "Changelog offsets still to be read before work goes on.",
        _SHARE,
        scraped=True,
    ),
    Family("rumbo_rebalances_total", "counter", "assignments", "Assignments taken."),
    Family("rumbo_partitions_assigned", "gauge", "partitions", "Partitions that this worker owns.", ("stage",)),
    Family(
        "rumbo_last_commit_timestamp_seconds",
        "gauge",
        "seconds",
        "When the last transaction was committed (Unix time).",
    ),
)
"""In the order of the page."""

NAMES: Final = frozenset(family.name for family in CATALOGUE)


def page() -> str:
    """`docs/metrics.md`."""
    lines = [
        "# Metrics",
        "",
        "What a worker shows on `/metrics`. This page is written from the list in `src/rumbo/observe/catalogue.py` (`make schemas`).",
        "Counters and histograms move once a batch or once a decision, never once an event; *scraped* ones are read when asked.",
        "",
        "| metric | kind | unit | labels | what it says |",
        "|---|---|---|---|---|",
    ]
    for each in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in each.labels) or "-"
        kind = f"{each.kind}, scraped" if each.scraped else each.kind
        said = each.help + (f" Buckets: {', '.join(f'{bound:g}' for bound in each.buckets)}." if each.buckets else "")
        lines.append(f"| `{each.name}` | {kind} | {each.unit} | {labels} | {said} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201  that is what it is for
