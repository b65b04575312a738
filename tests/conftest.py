"""What all suites share: the `needs` marker."""

from __future__ import annotations

import pytest
from hypothesis import settings

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


# The same examples on every run: a failure is a fact about the code, not about the day. Searching
# for new examples is done at a desk, with `--hypothesis-profile default`.
settings.register_profile("parley", derandomize=True, deadline=None)
settings.load_profile("parley")
