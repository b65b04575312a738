"""`python -m local_stack.business [--port N]`; `PARLEY_BUSINESS_TOKEN` asks callers for a bearer token."""

from __future__ import annotations

import datetime as dt
import os

from local_stack.business.app import business_app
from local_stack.engines.serve import engine_arguments, run_engine


def _today() -> dt.date:
    return dt.datetime.now().astimezone().date()


def main() -> None:
    """Serve until told to stop."""
    options = engine_arguments("The sample tenants' own booking and order server.").parse_args()
    app = business_app(today=_today, token=os.environ.get("PARLEY_BUSINESS_TOKEN", ""))
    run_engine(app, host=options.host, port=options.port, engine="business")


if __name__ == "__main__":
    main()
