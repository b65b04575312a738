"""What all protocol handlers of one engine process share."""

from __future__ import annotations

import asyncio

from aiohttp import web

from local_stack.engines.load_model.draws import Counters, DrawLog
from local_stack.engines.load_model.faults import ActiveFault, FaultTable, Target
from local_stack.engines.load_model.profile import Profile
from local_stack.engines.load_model.seeded import SeededSource


class LoadModel:
    """The profile in force, its chances, the faults in force, and the record of what happened."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self._seed = seed
        self.faults = FaultTable(seed)
        self.draws = DrawLog()
        self.counters = Counters()
        self.open_connections: dict[int, tuple[Target, asyncio.Transport]] = {}
        self.batch_utterances = 0
        self.use(profile)

    def use(self, profile: Profile) -> None:
        """Put `profile` in force, also for streams that are open; every sequence of draws starts again."""
        self.profile = profile
        seed = self._seed if profile.seed is None else profile.seed
        self.chances = SeededSource(seed)
        self.faults.seed = seed
        self.batch_utterances = 0

    def start_work(self, target: Target) -> ActiveFault | None:
        """Count an utterance, segment or context on an open websocket; return the fault that hits it."""
        count = self.counters.of(target)
        count.work += 1
        fault = self.faults.strike(target, "work")
        count.faults += fault is not None
        return fault

    def abort(self, stage: str | None, vendor: str | None, key: str | None) -> int:
        """Reset every open connection that matches, as a provider that restarts does; None matches all.

        Returns:
            How many were reset.
        """
        doomed = [
            transport
            for target, transport in self.open_connections.values()
            if stage in {None, target.stage}
            and vendor in {None, target.vendor}
            and (key is None or key in {target.key, target.model, target.voice})
        ]
        for transport in doomed:
            transport.abort()
        return len(doomed)


LOAD_MODEL: web.AppKey[LoadModel] = web.AppKey("load_model", LoadModel)
