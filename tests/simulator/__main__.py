"""Run many seeds over all cores; say the hits of each await point, and every seed that failed. A run goes on where one broke off.

python -m tests.simulator --seeds 100000            blocks of seeds, appended to rows.jsonl with the commit; done ones are not run again
python -m tests.simulator --first 4711 --seeds 1    one seed, as it was; nothing is appended
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tests import evidence
from tests.broker.cluster import die_with_parent
from tests.simulator.world import play

ROWS = Path(__file__).parent / "rows.jsonl"
BLOCK = 500
SWEEP = 50


def block(first: int, count: int) -> dict[str, Any]:
    """Play seeds; what they passed and how they ended."""
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    failed: dict[int, str] = {}
    counted, started = 0, time.process_time()
    gc.collect()  # what is freed with a block is not to be kept for ever with what is frozen now
    gc.freeze()
    gc.disable()  # worlds are rings of objects, and live to their ends: one sweep for some of them together
    for seed in range(first, first + count):
        if seed % SWEEP == 0:
            gc.collect()
        try:
            world = play(seed)
        except Exception as error:  # noqa: BLE001  whatever it is, the seed has failed and the others go on
            failed[seed] = f"{type(error).__name__}: {error}"
            continue
        counted += world.events >= 50 and world.counts["crashes"] > 0 and world.counts["rebalances"] > 0
        hits += world.hits
        totals += world.counts
    return {
        "first": first, "seeds": count, "counted": counted, "failed": failed, "totals": dict(totals), "hits": dict(hits),
        "cpu": round(time.process_time() - started, 1),
    }  # fmt: skip


def parts(first: int, seeds: int, done: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """The blocks that are still to be played."""
    edges = range(first, first + seeds, BLOCK)
    found = [(at, min(BLOCK, first + seeds - at)) for at in edges]
    return [each for each in found if each not in done]


def said(found: list[dict[str, Any]]) -> str:
    """What blocks come to."""
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for each in found:
        hits.update(each["hits"])
        totals.update(each["totals"])
    lines = [f"{count:>10}  {point}" for point, count in sorted(hits.items())]
    seeds, counted, failed = (sum(each[name] for each in found) for name in ("seeds", "counted", "n_failed"))
    lines.append(f"{seeds} seeds, {counted} counted, {failed} failed, {dict(totals)}")
    return "\n".join(lines)


def main() -> int:
    """The exit code: 1 where a seed failed, or where too few counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=10_000)
    options = parser.parse_args()
    name = evidence.commit()
    whole = options.seeds >= BLOCK and evidence.is_lasting(name)
    earlier = [each for each in evidence.rows(ROWS) if each["commit"] == name] if whole else []
    found = [each for each in earlier if options.first <= each["first"] < options.first + options.seeds]
    todo = parts(options.first, options.seeds, {(each["first"], each["seeds"]) for each in found})
    started, until = time.monotonic(), time.monotonic() + options.minutes * 60
    with ProcessPoolExecutor(min(options.jobs, len(todo) or 1), initializer=die_with_parent) as pool:
        waiting = [pool.submit(block, *each) for each in todo]
        for future in as_completed(waiting):
            if future.cancelled():
                continue
            row = {"commit": name, **future.result()}
            row["n_failed"] = len(row["failed"])
            found.append(row)
            for seed, why in row["failed"].items():
                print(f"seed {seed}: {why}", flush=True)
            if whole:
                evidence.append(ROWS, row)
            if time.monotonic() > until:
                for each in waiting:
                    each.cancel()
    print(said(found))
    print(f"{time.monotonic() - started:.0f} s, {sum(each['cpu'] for each in found):.0f} s of processor time")
    counted, seeds = (sum(each[name] for each in found) for name in ("counted", "seeds"))
    return 1 if any(each["failed"] for each in found) or counted < seeds * 0.9 else 0


if __name__ == "__main__":
    sys.exit(main())
