#!/bin/sh
# Runs all tests: quick ones on all cores, then those with real parts one after the other, whose timing would suffer.
# Arguments go to pytest; words that match nothing in one of the two parts are no failure.
set -u
ran=5 # pytest's status for "no tests collected"
run() {
    .venv/bin/python -m pytest "$@"
    status=$?
    [ $status = 5 ] && return
    [ $status = 0 ] || exit $status
    ran=0
}
run tests/unit tests/contract -n auto --dist loadfile "$@"
run tests/integration tests/e2e "$@"
exit $ran
