"""Local: a topology run in memory by the same core, with no broker. For tests, simulation and examples."""

from rumbo.local.examples import Outcome, describe, run_example, run_examples
from rumbo.local.run import Local, simulate
from rumbo.local.view import account_view, profile_view

__all__ = ["Local", "Outcome", "account_view", "describe", "profile_view", "run_example", "run_examples", "simulate"]
