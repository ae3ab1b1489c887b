"""What the broker tests share."""

from __future__ import annotations

import pytest

from tests.broker.bench import Bench


@pytest.fixture
def world(bootstrap, tmp_path):
    """Makes benches, and ends their workers whatever happens."""
    made = []

    def make(template, **options):
        made.append(Bench(bootstrap, tmp_path, template, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.stop()
