"""What all suites share: the `needs` marker."""

from __future__ import annotations

import pytest

from tests.parts import PARTS, missing, required


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose parts are missing; under PARLEY_REQUIRE=all fail it instead."""
    for marker in item.iter_markers("needs"):
        unknown = set(marker.args) - PARTS.keys()
        if unknown:
            pytest.fail(f"unknown part in needs(): {', '.join(sorted(unknown))}")
        absent = missing(marker.args)
        if absent:
            reason = f"not on this machine: {', '.join(absent)} (parley doctor tells how to get it)"
            if required():
                pytest.fail(reason)
            pytest.skip(reason)
