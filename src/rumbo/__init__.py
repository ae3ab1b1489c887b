"""Rumbo: a streaming journey-event processor. Importing the package starts nothing."""

__version__ = "0.1.0"
