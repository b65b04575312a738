"""Suites that are written but were not yet seen to pass on a quiet machine stay out until they are."""

from __future__ import annotations

import os

_UNFINISHED = [
    "test_call_context.py",
    "test_call_faults.py",
    "test_call_hang_ups.py",
    "test_call_life.py",
    "test_call_rules.py",
    "test_livekit_worker.py",
    "test_recordings_call.py",
]

# PARLEY_UNFINISHED=1 runs them; the open issue names them, and this file goes when they pass
collect_ignore = [] if os.environ.get("PARLEY_UNFINISHED") else _UNFINISHED
