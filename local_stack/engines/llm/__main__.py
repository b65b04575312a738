"""Run the rule engine: `python -m local_stack.engines.llm --port 0`."""

from __future__ import annotations

import argparse

from local_stack.engines.llm.app import Pace, build_app
from local_stack.engines.serve import engine_arguments, run_engine


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 up")
    return value


def main() -> None:
    """Read the command line and serve until told to stop."""
    default = Pace()
    parser = engine_arguments(
        "Local language engine: a rule engine behind OpenAI's Chat Completions protocol."
    )
    parser.add_argument(
        "--ttft-ms", type=_not_negative, default=default.ttft_ms, help="time to the first token"
    )
    parser.add_argument(
        "--tokens-per-s", type=_not_negative, default=default.tokens_per_s, help="speed; 0 sends all at once"
    )
    parser.add_argument(
        "--slow-ttft-ms",
        type=_not_negative,
        default=default.slow_ttft_ms,
        help="time to the first token of local-slow",
    )
    options = parser.parse_args()
    pace = Pace(options.ttft_ms, options.tokens_per_s, options.slow_ttft_ms)
    run_engine(build_app(pace), host=options.host, port=options.port, engine="llm")


if __name__ == "__main__":
    main()
