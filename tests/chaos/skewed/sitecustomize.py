"""A machine whose clock is wrong: `time.time` is so many seconds off, and after a while so many (SKEW=before:after:seconds)."""

import os
import time

_true, _steady, _began = time.time, time.monotonic, time.monotonic()
_before, _after, _seconds = (float(each) for each in os.environ["SKEW"].split(":"))


def _skewed() -> float:
    return _true() + (_before if _steady() - _began < _seconds else _after)


time.time = _skewed
