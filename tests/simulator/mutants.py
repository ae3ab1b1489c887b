"""Faults planted in the engine on purpose: the simulator must catch every one of them, or its zeros mean nothing.

python -m tests.simulator.mutants [--seeds 200]        writes MUTANTS.md: which fault, caught by which seed, and how

A seed is one schedule of the simulator: `python -m tests.simulator --first SEED --seeds 1` plays it without the fault, and it holds.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from tests import evidence
from tests.simulator.planted import PLANTED, Planted
from tests.simulator.world import play

TABLE = Path(__file__).parent / "MUTANTS.md"
HEAD = """\
# Faults planted on purpose

Written by `make mutants` (CI runs it on every change) at {commit}: {count} mistakes that this engine could make, planted one at a time
(`planted.py`); each must be caught by a schedule of the simulator, or the simulator's zeros mean nothing.

| planted fault | what it does | caught by seed | as |
|---|---|---|---|"""


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


def name_of(planted: Planted) -> str:
    """In words."""
    return planted.__name__.replace("_", " ")


def line(planted: Planted, found: tuple[int, str] | None, seeds: int) -> str:
    """One row of the table."""
    seed, how = found if found is not None else ("none", f"LIVES after {seeds} seeds")
    what = " ".join((planted.__doc__ or "").split())
    return f"| {name_of(planted)} | {what} | {seed} | {' '.join(how.split())[:90].replace('|', '/')} |"


def main() -> int:
    """The exit code: 1 where a fault lives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    options = parser.parse_args()
    alive, lines = 0, [HEAD.format(commit=evidence.commit(), count=len(PLANTED))]
    for planted in PLANTED:
        found = caught_by(planted, options.seeds)
        alive += found is None
        lines.append(line(planted, found, options.seeds))
        print(lines[-1], flush=True)
    TABLE.write_text("\n".join(lines) + "\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
