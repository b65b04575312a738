"""The demo's callers: spoken at run time from their scripts, and heard again by the general language model."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Sequence

import aiohttp
import numpy as np

from edge_agents.audio.speech_edges import Pcm
from local_stack.callers.wav import CALLER_RATE_HZ
from shared.errors import StackError

_TIMEOUT = aiohttp.ClientTimeout(total=60)


async def speak(
    http: aiohttp.ClientSession, *, tts_url: str, key: str, voice: str, texts: Sequence[str]
) -> list[Pcm]:
    """Synthesise sentences in a caller's voice.

    Returns:
        int16 mono at 16 kHz, one array a sentence.

    Raises:
        StackError: the speech engine refused.
    """
    spoken: list[Pcm] = []
    for text in texts:
        async with http.post(
            f"{tts_url}/v1/speak",
            params={
                "model": voice,
                "encoding": "linear16",
                "sample_rate": str(CALLER_RATE_HZ),
                "container": "none",
            },
            headers={"Authorization": f"Token {key}"},
            json={"text": text},
            timeout=_TIMEOUT,
        ) as response:
            if response.status != 200:
                raise StackError(f"the speech engine answered {response.status}", hint="see its log")
            spoken.append(np.frombuffer(await response.read(), "<i2").astype(np.int16))
    return spoken


async def hear_with_general_model(
    http: aiohttp.ClientSession, *, stt_url: str, key: str, utterances: Sequence[Pcm]
) -> list[str]:
    """Transcribe utterances with the recogniser's general language model, one after the other.

    Returns:
        One transcript an utterance.

    Raises:
        StackError: the recogniser refused.
    """
    heard: list[str] = []
    for pcm in utterances:
        async with http.post(
            f"{stt_url}/v1/listen",
            params={"model": "nova-3", "tag": "agent:general"},
            headers={"Authorization": f"Token {key}", "Content-Type": "audio/wav"},
            data=await asyncio.to_thread(_wav, pcm),
            timeout=_TIMEOUT,
        ) as response:
            if response.status != 200:
                raise StackError(f"the recogniser answered {response.status}", hint="see its log")
            body = await response.json()
        heard.append(body["results"]["channels"][0]["alternatives"][0]["transcript"])
    return heard


def _wav(pcm: Pcm) -> bytes:
    # recognisers find the beginning of an utterance by the quiet before it
    quiet = np.zeros(CALLER_RATE_HZ // 2, np.int16)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(CALLER_RATE_HZ)
        wav.writeframes(np.concatenate([quiet, pcm, quiet]).astype("<i2").tobytes())
    return buffer.getvalue()
