"""Run many seeds; say the hits of each await point, and every seed that failed."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulator.world import play


def main() -> int:
    """The exit code: 1 where a seed failed, or where too few counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    failed, counted, started = [], 0, time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        try:
            world = play(seed)
        except AssertionError as error:
            failed.append(seed)
            print(f"seed {seed}: {error}", flush=True)
            continue
        counted += world.events >= 50 and world.counts["crashes"] > 0 and world.counts["rebalances"] > 0
        hits += world.hits
        totals += world.counts
    for point, count in sorted(hits.items()):
        print(f"{count:>10}  {point}")
    seconds = time.monotonic() - started
    print(f"{options.seeds} seeds, {counted} counted, {len(failed)} failed, {dict(totals)}, {seconds:.0f} s")
    return 1 if failed or counted < options.seeds * 0.9 else 0


if __name__ == "__main__":
    sys.exit(main())
