"""A small real part for supervisor tests: says it is ready, answers health checks, obeys its arguments.

python part.py [--silent] [--exit STATUS] [--stubborn] [--ill] [--port N] [--child FILE] [--record FILE]
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--silent", action="store_true", help="never say ready")
    parser.add_argument("--exit", type=int, default=None, help="print a line and exit before being ready")
    parser.add_argument("--stubborn", action="store_true", help="ignore SIGTERM")
    parser.add_argument("--ill", action="store_true", help="answer health checks with 500")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--child", type=Path, help="start a long-lived child and write its pid here")
    parser.add_argument("--record", type=Path, help="append start and stop to this file")
    parser.add_argument("--name", default="part")
    options = parser.parse_args()
    if options.exit is not None:
        sys.stderr.write("no model in this folder\n")
        sys.exit(options.exit)
    if options.child:
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        options.child.write_text(str(child.pid))
    if options.silent:
        signal.pause()
    server = serve(options)
    record(options, "start")

    def stop(_number: int, _frame: FrameType | None) -> None:
        if options.stubborn:
            return
        record(options, "stop")
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    ready = {"event": "ready", "port": server.server_address[1], "seen": os.environ.get("SEEN", "")}
    sys.stdout.write("some chatter\n" + json.dumps(ready) + "\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.01)


def serve(options: argparse.Namespace) -> http.server.HTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/crash":
                os._exit(3)
            self.send_response(500 if options.ill else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    try:
        return http.server.HTTPServer(("127.0.0.1", options.port), Handler)
    except OSError as error:
        sys.stderr.write(f"{options.name}: cannot listen on 127.0.0.1:{options.port}: {error.strerror}\n")
        sys.exit(2)


def record(options: argparse.Namespace, what: str) -> None:
    if options.record:
        with options.record.open("a") as file:
            file.write(f"{what} {options.name}\n")


if __name__ == "__main__":
    main()
