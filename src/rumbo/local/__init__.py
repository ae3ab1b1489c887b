"""Local: a topology run in memory by the same core, with no broker. For tests, simulation and examples."""

from rumbo.local.examples import Outcome, describe, run_example, run_examples
from rumbo.local.run import Local, simulate
from rumbo.local.view import profile_view

__all__ = ["Local", "Outcome", "describe", "profile_view", "run_example", "run_examples", "simulate"]
