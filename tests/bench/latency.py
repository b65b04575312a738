"""`make bench`: what a caller waits for, stock livekit-agents against Parley, on the same providers in one run.

Both hear the same human recordings over the same WebSocket media and talk to the same load-model engine with the
same fixed delays. Everything is measured at the caller's end, from the audio. Calls alternate (stock, Parley, stock,
...), so that a slow minute of the machine meets both. The share that is our own is what is left of a turn's
speak-to-hear after the providers' delays: final transcript, first token, tokens up to the end of the first
sentence, first byte of audio.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from edge_agents.audio.speech_edges import Pcm
from local_stack.callers.caller import SyntheticCaller
from local_stack.callers.script import Utterance
from local_stack.callers.wav import load_utterance
from local_stack.callers.websocket_media import WebSocketMedia
from local_stack.paths import TENANTS
from shared.adapters.config_files import FileConfigStore
from shared.ids import IdKind, new_id
from shared.media_token import MediaClaims, issue_media_token
from tests.parts import data_folder

OUT = Path("bench-out/latency.json")
CLIPS = ("go_forward", "weather", "brooklyn_bridge", "cards_005", "turn5_half_an_hour")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
REPLY = "Sure, I can help you with that. Is there anything else that you would like to know?"
FIRST_SENTENCE_TOKENS = 8
TOKENS_PER_S = 80.0


@dataclass(frozen=True)
class Providers:
    """Fixed delays of one scenario, milliseconds."""

    stt_final_ms: float
    llm_ttft_ms: float
    tts_ttfb_ms: float

    @property
    def critical_path_ms(self) -> float:
        """What a turn can't be faster than: transcript, tokens of the first sentence, first audio."""
        tokens_ms = (FIRST_SENTENCE_TOKENS - 1) * 1000 / TOKENS_PER_S
        return self.stt_final_ms + self.llm_ttft_ms + tokens_ms + self.tts_ttfb_ms

    def profile(self) -> dict[str, Any]:
        """As the load-model engine takes it."""
        return {
            "stt": {"final_ms": [self.stt_final_ms] * 2, "interim_period_ms": 250, "pause_ms": 240},
            "llm": {
                "ttft_ms": [self.llm_ttft_ms] * 2,
                "tokens_per_s": [TOKENS_PER_S] * 2,
                "replies": [REPLY],
            },
            "tts": {"ttfb_ms": [self.tts_ttfb_ms] * 2, "speedup": 8.0, "ms_per_char": 40.0},
        }


SCENARIOS = {
    # medians published in 2026 (docs/references.md): Nova-3, gpt-4.1 class, Aura-2
    "typical": Providers(stt_final_ms=300, llm_ttft_ms=540, tts_ttfb_ms=290),
    # a small model near by and a fast voice: here endpointing is no longer hidden behind the model
    "fast": Providers(stt_final_ms=300, llm_ttft_ms=60, tts_ttfb_ms=90),
}


@contextmanager
def process(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """A process of ours; yields its ready line and ends it after."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, **(env or {}), "PARLEY_EXIT_WITH_PARENT": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as child:
        assert child.stdout is not None
        try:
            yield json.loads(child.stdout.readline())
        finally:
            child.terminate()


def parley_env(folder: Path, engine: str, bootstrap: str, secret: str) -> dict[str, str]:
    """Settings of our agent against the load-model engine."""
    key = folder / "key"
    key.write_bytes(base64.b64encode(secrets.token_bytes(32)))
    key.chmod(0o600)
    urls = {
        "deepgram-stt": f"{engine}/v1/listen",
        "deepgram-tts": f"{engine}/v1/speak",
        "openai": f"{engine}/v1",
    }
    return {
        "PARLEY_PORT": "0",
        "PARLEY_MEDIA_SECRET": secret,
        "PARLEY_ENDPOINTS": json.dumps({name: {"url": url, "key": "parley"} for name, url in urls.items()}),
        "PARLEY_KAFKA_BOOTSTRAP": bootstrap,
        "PARLEY_SPILL_DIR": str(folder / "spill"),
        "PARLEY_PHRASE_DIR": str(folder / "phrases"),
        "PARLEY_SEALING_KEY_FILE": str(key),
        "PARLEY_AGENTS_DIR": str(TENANTS),
        "PARLEY_TOOL_PLACEHOLDERS": '{"BUSINESS_URL": "http://127.0.0.1:9"}',
        "PARLEY_ALLOW_LOOPBACK": "true",
    }


async def one_call(port: int, secret: str, clips: list[Pcm]) -> list[float]:
    """Call, say every clip, return the speak-to-hear of each turn in milliseconds, as the caller heard it."""
    agent = FileConfigStore(TENANTS, {"BUSINESS_URL": "http://127.0.0.1:9"}).by_slug("rooms")
    now = datetime.now(UTC)
    claims = MediaClaims(
        tenant_id=agent.tenant.tenant_id,
        agent_id=agent.version.agent_id,
        call_id=new_id(IdKind.CALL),
        exp=now + timedelta(minutes=2),
    )
    token = issue_media_token(claims, secret, now)
    async with aiohttp.ClientSession() as http:
        media = WebSocketMedia(f"ws://127.0.0.1:{port}/v1/media?token={token}", http=http)
        caller = SyntheticCaller(media, [Utterance(clip) for clip in clips], record=False)
        report = await caller.call()
    if report.unanswered:
        raise SystemExit(f"bench: {report.unanswered} turns were not answered")
    return [turn.speak_to_hear_ms for turn in report.turns if turn.speak_to_hear_ms is not None]


def summary(samples: list[float], providers: Providers) -> dict[str, float | int]:
    """p50 and p95 of a system, and what is left of the median after the providers' delays."""
    p50 = statistics.median(samples)
    p95 = statistics.quantiles(samples, n=20, method="inclusive")[-1]
    own = p50 - providers.critical_path_ms
    return {
        "turns": len(samples),
        "speak_to_hear_p50_ms": round(p50, 1),
        "speak_to_hear_p95_ms": round(p95, 1),
        "own_share_p50_ms": round(own, 1),
        "own_share_of_p50": round(own / p50, 3),
    }


def compare(samples: Mapping[str, list[float]], providers: Providers) -> dict[str, Any]:
    """One scenario's part of the report."""
    systems = {name: summary(values, providers) for name, values in samples.items()}
    ours, stock = systems["parley"], systems["stock_same_detection"]
    ratios = {
        key: round(ours[key] / stock[key], 3)
        for key in ("speak_to_hear_p50_ms", "speak_to_hear_p95_ms", "own_share_p50_ms")
        if stock[key] > 0
    }
    return {
        "provider_delays_ms": {**asdict(providers), "critical_path_ms": providers.critical_path_ms},
        "systems": systems,
        "parley_divided_by_stock_same_detection": ratios,
        "samples_ms": {name: [round(value, 1) for value in values] for name, values in samples.items()},
    }


async def measure(systems: Mapping[str, int], secret: str, engine: str) -> dict[str, Any]:
    """Alternate calls over all systems, scenario by scenario."""
    folder = data_folder() / "speech"
    if not folder.is_dir():
        raise SystemExit("bench: set PARLEY_TEST_DATA to the folder that holds speech/")
    clips = [load_utterance(folder / f"{name}.wav") for name in CLIPS]
    results: dict[str, Any] = {}
    for scenario, providers in SCENARIOS.items():
        async with (
            aiohttp.ClientSession() as http,
            http.put(f"{engine}/local/profile", json=providers.profile()) as answer,
        ):
            answer.raise_for_status()
        samples: dict[str, list[float]] = {name: [] for name in systems}
        for number in range(ROUNDS):
            for name, port in systems.items():
                samples[name] += await one_call(port, secret, clips)
                median = statistics.median(samples[name])
                print(f"{scenario}, round {number + 1} of {ROUNDS}: {name} p50 {median:.0f} ms", flush=True)
        results[scenario] = compare(samples, providers)
    return results


def main() -> None:
    """Run and write bench-out/latency.json."""
    secret = secrets.token_urlsafe(48)
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="parley-bench-") as scratch:
        port = stack.enter_context(process("local_stack.engines.load_model"))["port"]
        engine = f"http://127.0.0.1:{port}"
        broker = stack.enter_context(process("local_stack.broker"))
        env = parley_env(Path(scratch), engine, broker["bootstrap"], secret)
        stock = partial(process, "tests.bench.stock_agent", engine, secret)
        systems = {
            "stock_same_detection": stack.enter_context(stock("vad"))["port"],
            "stock_defaults": stack.enter_context(stock("default"))["port"],
            "parley": stack.enter_context(process("edge_agents.main", env=env))["port"],
        }
        scenarios = asyncio.run(measure(systems, secret, engine))
    report = {
        "what": "caller's last voiced sample -> first audible sample of the reply, at the caller's end",
        "media": "WebSocket, 16 kHz PCM, loopback",
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "clips": list(CLIPS),
        "scenarios": scenarios,
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    for name, result in scenarios.items():
        print(f"{name}: {json.dumps(result['systems'], indent=2)}")
        print(f"{name}: Parley / stock, same detection: {result['parley_divided_by_stock_same_detection']}")
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
