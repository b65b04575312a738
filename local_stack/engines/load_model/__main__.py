"""`python -m local_stack.engines.load_model [--host H] [--port P] [--profile FILE.json] [--seed N]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from local_stack.engines.load_model.app import build_app
from local_stack.engines.load_model.profile import Profile
from local_stack.engines.serve import engine_arguments, run_engine

DEFAULT_SEED = 7


def main() -> None:
    """Serve the load model until told to stop."""
    parser = engine_arguments("Providers' wire protocols with seeded latencies and injectable faults.")
    parser.add_argument("--profile", type=_profile, default=Profile(), help="JSON file of a profile")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of all draws")
    arguments = parser.parse_args()
    app = build_app(arguments.profile, arguments.seed)
    run_engine(app, host=arguments.host, port=arguments.port, engine="load_model")


def _profile(path: str) -> Profile:
    try:
        return Profile.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise argparse.ArgumentTypeError(f"{path}: {where}: {first['msg']}") from None


if __name__ == "__main__":
    main()
