"""`python -m local_stack.engines.listen`: run the speech-to-text engine."""

from __future__ import annotations

import argparse

from local_stack.engines.listen.app import ListenSettings, build_app
from local_stack.engines.serve import engine_arguments, run_engine


def main() -> None:
    """Read the command line and serve until told to stop."""
    defaults = ListenSettings()
    parser = engine_arguments("Speech to text in Deepgram's wire protocols, over pocketsphinx.")
    parser.add_argument(
        "--workers",
        type=_at_least_one,
        default=defaults.workers,
        help="decoder processes, one per core that speech may use",
    )
    parser.add_argument(
        "--max-streams",
        type=_at_least_one,
        default=defaults.max_streams,
        help="sockets and requests at a time; one more gets Deepgram's 429",
    )
    arguments = parser.parse_args()
    settings = ListenSettings(workers=arguments.workers, max_streams=arguments.max_streams)
    run_engine(build_app(settings), host=arguments.host, port=arguments.port, engine="listen")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main()
