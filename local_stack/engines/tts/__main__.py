"""`python -m local_stack.engines.tts`: run the text-to-speech engine."""

from __future__ import annotations

import argparse
import math
import sys

from local_stack.engines.serve import engine_arguments, run_engine
from local_stack.engines.tts.app import TtsSettings, build_app
from local_stack.engines.tts.synthesizer import SynthesisError


def main() -> None:
    """Read the command line and serve until told to stop."""
    defaults = TtsSettings()
    parser = engine_arguments("Text to speech in the wire protocols of Deepgram, ElevenLabs and Azure.")
    parser.add_argument(
        "--voice-engine",
        choices=("auto", "espeak", "flite"),
        default=defaults.voice_engine,
        help="what agents speak with; auto takes flite where it is installed",
    )
    parser.add_argument(
        "--max-streams",
        type=_at_least_one,
        default=defaults.max_streams,
        help="sockets and requests at a time; one more gets the vendor's 429",
    )
    parser.add_argument(
        "--realtime-factor",
        type=_not_negative,
        default=defaults.realtime_factor,
        help="seconds of audio sent per second, after a burst; 0 sends it as fast as it is made",
    )
    arguments = parser.parse_args()
    settings = TtsSettings(
        voice_engine=arguments.voice_engine,
        max_streams=arguments.max_streams,
        realtime_factor=arguments.realtime_factor,
    )
    try:
        app = build_app(settings)
    except SynthesisError as error:
        print(f"tts: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    run_engine(app, host=arguments.host, port=arguments.port, engine="tts")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


if __name__ == "__main__":
    main()
