#!/bin/sh
# Pins all dependencies with hashes. No registry address is recorded.
set -eu
for set in demo test dev; do
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url "requirements/$set.in" --output-file "requirements/$set.txt"
done
