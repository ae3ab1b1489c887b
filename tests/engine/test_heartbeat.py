"""A loop that stands still ends the process, though it cannot do so itself."""

from __future__ import annotations

import threading
import time

from rumbo.engine.failpoint import Failpoints
from rumbo.engine.heartbeat import EXIT, Heartbeat, Patience


def test_a_loop_that_stands_still_ends_the_process():
    """By another thread, with the code of what must stop a process."""
    ended, codes = threading.Event(), []

    def end(code):
        codes.append(code)
        ended.set()

    watch = Heartbeat(0.05, end)
    watch.start()
    assert ended.wait(10)
    watch.stop()
    assert codes == [EXIT]


def test_a_loop_that_turns_is_left_alone():
    """And a watch that was ended says nothing any more."""
    codes = []
    watch = Heartbeat(30, codes.append)
    watch.start()
    watch.beat()
    watch.stop()
    assert codes == []


def test_a_failpoint_with_seconds_stands_still_once():
    """For tests of what a blocked loop does."""
    points, began = Failpoints("after_step:2:0.05"), time.monotonic()
    points.reached("after_step")
    points.reached("before_end")
    assert time.monotonic() - began < 0.05
    points.reached("after_step")
    assert time.monotonic() - began >= 0.05
    began = time.monotonic()
    points.reached("after_step")
    assert time.monotonic() - began < 0.05


def test_a_quiet_partition_does_not_wait():
    """However long ago it committed: what comes after a quiet hour is not late."""
    patience = Patience()
    assert patience.waited(0, lagging=False, committed_at=0, now=3_600) == 0
    assert patience.waited(0, lagging=True, committed_at=0, now=3_601) == 0
    assert patience.waited(0, lagging=True, committed_at=0, now=3_650) == 49


def test_each_commit_begins_anew():
    """A partition that is never caught up and goes on does not wait either; one that stops does."""
    patience = Patience()
    for now in range(100, 400, 10):
        assert patience.waited(0, lagging=True, committed_at=now - 1, now=now) <= 1
    assert patience.waited(0, lagging=True, committed_at=389, now=520) == 131
    patience.forget()
    assert patience.waited(0, lagging=True, committed_at=389, now=521) == 0
