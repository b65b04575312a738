"""The Kafka of the embedded stack: librdkafka's mock cluster, in a process of its own.

    python -m local_stack.broker
    {"event":"ready","bootstrap":"127.0.0.1:40123"}

Every topic has four partitions (the mock's default). It keeps records in memory, about 5 MB a partition and
the oldest go first, answers no HTTP, and proves no transactions. Ends on SIGTERM, SIGINT and when the
process that started it is gone.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from types import FrameType

from confluent_kafka import KafkaException, Producer

from shared.names import Topic

_PARENT_POLL_S = 0.5
"""How often a dead parent is looked for; an orphan lives at most this long."""

_START_TIMEOUT_S = 10.0
_ENDS = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Start the cluster, say where it is, and keep it until told to stop.

    Raises:
        SystemExit: status 2 with one line on standard error when the cluster does not start.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--brokers", type=int, choices=range(1, 6), default=1, help="brokers of the cluster")
    arguments = parser.parse_args()
    parent_pid = os.getppid()
    stop = threading.Event()

    def on_signal(_: int, __: FrameType | None) -> None:
        stop.set()

    # Threads inherit the mask. A signal that one of librdkafka's took would interrupt its poll(), which the mock takes
    # for the end: it stops serving, and the process can't be joined any more (librdkafka 2.16).
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        cluster, bootstrap = start_cluster(arguments.brokers)
    except KafkaException:
        print("broker: the mock cluster did not start", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    for signal_number in _ENDS:
        signal.signal(signal_number, on_signal)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    print(json.dumps({"event": "ready", "bootstrap": bootstrap}, separators=(",", ":")), flush=True)  # noqa: T201
    while not stop.wait(_PARENT_POLL_S) and os.getppid() == parent_pid:
        cluster.poll(0)  # serves the library's log, which would grow otherwise


def start_cluster(brokers: int = 1) -> tuple[Producer, str]:
    """Start a mock cluster with all of Parley's topics; it lives as long as the producer that is returned.

    Args:
        brokers: how many, 1 to 5.

    Returns:
        The producer that holds it, and host:port of its brokers, comma separated.

    Raises:
        KafkaException: it did not answer in time.
    """
    cluster = Producer(
        {
            "test.mock.num.brokers": brokers,
            "log_level": 3,
            "logger": logging.getLogger("parley.librdkafka"),
        }
    )
    for topic in Topic.ALL:  # a producer's question about a topic makes the mock create it
        cluster.list_topics(topic, timeout=_START_TIMEOUT_S)
    found = cluster.list_topics(timeout=_START_TIMEOUT_S).brokers.values()
    return cluster, ",".join(f"{broker.host}:{broker.port}" for broker in found)


if __name__ == "__main__":
    main()
