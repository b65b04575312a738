"""Stock livekit-agents behind our WebSocket media, for comparison: its defaults, the official plugins, nothing of ours.

`python -m tests.bench.stock_agent ENGINE_URL SECRET vad|default` prints the ready line and serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web
from livekit.agents import Agent, AgentSession, inference
from livekit.plugins import deepgram, openai

from edge_agents.host.signals import StopSignals, announce_ready
from edge_agents.transport.websocket import MediaEndpoint, WebSocketTransport
from shared.domain.call import EndReason

GREETING = "Hello, this is the front desk. How can I help you?"


async def serve(engine: str, secret: str, detection: str) -> None:
    """Serve calls with a stock session until told to stop."""
    voice_activity = inference.VAD(model="silero")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def on_call(transport: WebSocketTransport) -> None:
            turn_handling = {"turn_detection": "vad"} if detection == "vad" else {}
            if detection != "vad":
                # the default detector, pinned to the local model: the other one is LiveKit's cloud
                turn_handling = {"turn_detection": inference.TurnDetector(version="v1-mini")}
            session: AgentSession[None] = AgentSession(
                stt=deepgram.STT(
                    model="nova-3", base_url=f"{engine}/v1/listen", api_key="stock", http_session=http
                ),
                llm=openai.LLM(model="gpt-4.1-mini", base_url=f"{engine}/v1", api_key="stock"),
                tts=deepgram.TTS(base_url=f"{engine}/v1/speak", api_key="stock", http_session=http),
                vad=voice_activity,
                turn_handling=turn_handling,
            )
            await transport.attach(session)
            await session.start(Agent(instructions="You answer the phone."), record=False)
            session.say(GREETING)
            await transport.wait_disconnected()
            await session.aclose()
            await transport.aclose(EndReason.CALLER_HUNG_UP)

        app = web.Application()
        app.router.add_get("/v1/media", MediaEndpoint(on_call=on_call, secret=secret).handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stop = StopSignals()
        announce_ready(runner.addresses[0][1])
        await stop.asked.wait()
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], sys.argv[3]))
