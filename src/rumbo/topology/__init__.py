"""Topologies: the author's YAML to checked definitions. Wrong ones never start; every problem comes at once."""

from rumbo.topology.examples import Example, Expectation, Given
from rumbo.topology.load import Loaded, load
from rumbo.topology.model import Source, Topology
from rumbo.topology.problem import Problem

__all__ = ["Example", "Expectation", "Given", "Loaded", "Problem", "Source", "Topology", "load"]
