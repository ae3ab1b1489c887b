"""Faults planted in the engine on purpose: the simulator must catch every one of them, or its zeros mean nothing.

python -m tests.simulator.mutants [--seeds 200]        a table: which fault, caught by which seed, and how
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from tests.simulator.planted import PLANTED, Planted
from tests.simulator.world import play


def caught_by(planted: Planted, seeds: int) -> tuple[int, str] | None:
    """The first seed that fails with this fault, and how; None where none does."""
    for seed in range(seeds):
        with ExitStack() as stack:
            stack.enter_context(planted())
            try:
                play(seed)
            except AssertionError as error:
                return seed, str(error).splitlines()[0]
    return None


def main() -> int:
    """The exit code: 1 where a fault lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    options = parser.parse_args()
    alive = 0
    print("| planted fault | caught by seed | as |\n|---|---|---|")
    for planted in PLANTED:
        found = caught_by(planted, options.seeds)
        alive += found is None
        seed, how = found if found is not None else ("none", f"lives after {options.seeds} seeds")
        print(f"| {planted.__name__.replace('_', ' ')} | {seed} | {how[:90]} |", flush=True)
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
