"""A recovery that takes long says so, and one that does not move ends."""

from __future__ import annotations

import pytest
import structlog

from rumbo.engine.recovery import SAY_SECONDS, STALL_SECONDS, RecoveryError, _Watch


def test_a_recovery_says_how_far_it_is():
    """Every few seconds: what was taken, what is left, how fast."""
    watch = _Watch("changelog", 0.0)
    with structlog.testing.capture_logs() as said:
        for second in range(12):
            watch.look(float(second), second * 1_000, {0: 50_000 - second * 1_000})
    assert [(each["event"], each["left"], each["per_second"]) for each in said] == [("recovering", 44_000, 1_000)]
    assert said[0]["records"] == 6_000 > SAY_SECONDS * 1_000


def test_a_recovery_that_does_not_move_ends_with_what_is_left():
    """It is not waited for: the process stops with the reason."""
    watch = _Watch("changelog", 0.0)
    watch.look(1.0, 10, {0: 5, 1: 7})
    watch.look(STALL_SECONDS, 10, {0: 5, 1: 7})
    with pytest.raises(RecoveryError, match=r"no progress for 60 s; left by partition: \{0: 5, 1: 7\}"):
        watch.look(STALL_SECONDS + 2, 10, {0: 5, 1: 7})


def test_a_recovery_that_moves_slowly_is_left_alone():
    """However slowly."""
    watch = _Watch("changelog", 0.0)
    for minute in range(30):
        watch.look(minute * 59.0, minute, {0: 100 - minute})
