"""A recognition WebSocket's common part: take audio, find utterances, have them decoded, close as Deepgram does.

One task reads the socket, so that it notices silence and a client that leaves; another works off what was read, in
order. A final is waited for there, so whatever follows it on the wire is of later audio.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from aiohttp import WSMsgType, web

from local_stack.engines.listen import segmenter as sg
from local_stack.engines.listen.audio import FrameSource, SpeechDetector
from local_stack.engines.listen.decoder_link import DecoderLostError
from local_stack.engines.listen.decoder_pool import Decoded, DecoderPool
from local_stack.engines.listen.messages import Message
from local_stack.engines.listen.model_lease import ModelLease
from local_stack.engines.listen.query import AudioOptions
from local_stack.engines.listen.utterance import Utterance

IDLE_LIMIT_S = 10.0
"""Deepgram closes a stream after 10 s without audio or a message (NET-0001)."""

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_TEXT_CHARS = 65_536

_MAX_WAITING_BYTES = 4 * 1024 * 1024
"""Audio that was read and not yet worked off; above it the socket isn't read, and TCP makes the client wait."""

_ITEM_BYTES = 256
"""Counted for each message besides its length: a million empty ones are not free either."""

_SEND_LIMIT_S = 10.0

_FRAMES_PER_TURN = 50
"""Frames worked off before other streams get their turn: 1 s of audio, about a millisecond."""

logger = logging.getLogger(__name__)


class Sign(Enum):
    """What is no message of the client, and yet to be worked off in its place among them."""

    NEWS = auto()
    """A decoder has found something."""
    IDLE = auto()
    END = auto()
    """The client closed the socket or is gone."""


class Inbox:
    """What is to be worked off, bounded by its bytes."""

    def __init__(self) -> None:
        self._items: deque[bytes | str | Sign] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()

    async def put(self, item: bytes | str) -> None:
        """Add something that was read; waits while too much waits."""
        while self._bytes > _MAX_WAITING_BYTES:
            self._drained.clear()
            await self._drained.wait()
        self._bytes += len(item) + _ITEM_BYTES
        self._add(item)

    def sign(self, sign: Sign) -> None:
        """Add a sign; two of the same in a row are one."""
        if not self._items or self._items[-1] is not sign:
            self._add(sign)

    async def get(self) -> bytes | str | Sign:
        """Take the oldest."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        if not isinstance(item, Sign):
            self._bytes -= len(item) + _ITEM_BYTES
            self._drained.set()
        return item

    def _add(self, item: bytes | str | Sign) -> None:
        self._items.append(item)
        self._filled.set()


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a protocol wants to hear."""

    pause_s: float
    interims: bool
    long_silence_s: float | None = None


class ListenStream(ABC):
    """One recognition WebSocket from its first frame to its end; subclasses speak a protocol.

    Args:
        socket: open.
        pool: decodes.
        lease: of the model; closed by whoever opened it.
        audio: what the query said of the audio.
        settings: how the protocol wants to hear.
        request_id: of this stream, in all its messages.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        pool: DecoderPool,
        lease: ModelLease,
        *,
        audio: AudioOptions,
        settings: StreamSettings,
        request_id: str,
    ) -> None:
        self.socket = socket
        self.request_id = request_id
        self.segmenter = sg.Segmenter(pause_s=settings.pause_s, long_silence_s=settings.long_silence_s)
        self.utterance: Utterance | None = None
        self.lease = lease
        self.sha256 = hashlib.sha256()
        self._pool = pool
        self._interims = settings.interims
        self._source = FrameSource(audio.encoding, audio.sample_rate_hz)
        self._detector = SpeechDetector()
        self._inbox = Inbox()
        self._cmn = ""
        self._ended = False

    async def run(self) -> None:
        """Serve the stream until either side ends it."""
        reader = asyncio.create_task(self._read())
        try:
            while not self._ended:
                await self._handle(await self._inbox.get())
        except DecoderLostError:
            logger.warning("a stream is closed: its utterance can't be decoded")
            await self.fail("NET-0000", "The decoder failed.", close_code=1011)
        except ConnectionResetError:
            pass  # the client is gone
        finally:
            reader.cancel()
            self._drop_utterance()
            await asyncio.wait([reader])

    @abstractmethod
    async def command(self, message: Message) -> None:
        """Obey a text message."""

    @abstractmethod
    async def speech_began(self, utterance: Utterance) -> None: ...

    @abstractmethod
    async def speech_continued(self, utterance: Utterance) -> None:
        """More was heard or decoded of the utterance."""

    @abstractmethod
    async def speech_resumed(self, utterance: Utterance) -> None:
        """A pause was not the end of the utterance."""

    @abstractmethod
    async def speech_ended(self, utterance: Utterance, decoded: Decoded, ended: sg.Ended) -> None:
        """The utterance is over."""

    async def long_silence(self) -> None:  # noqa: B027  (a hook that may stay empty)
        """It has been silent for `long_silence_s`."""

    @abstractmethod
    async def fail(self, code: str, description: str, *, close_code: int) -> None:
        """Say what is wrong and close the socket."""

    @abstractmethod
    async def client_closed(self) -> None:
        """The client closed by an empty binary message, as it may in the older protocol."""

    async def finish_utterance(self, *, last: bool = False) -> bool:
        """End the present utterance at the client's wish; whether there was one.

        Args:
            last: no more audio will come: what is held back is heard first.
        """
        if last:
            await self._hear_frames(self._source.last_frames())
        spoke = self.segmenter.speaking
        for event in self.segmenter.finish():
            await self._on(event)
        return spoke

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ConnectionResetError: the client is gone, or has not read anything for 10 s.
        """
        try:
            async with asyncio.timeout(_SEND_LIMIT_S):
                await self.socket.send_json(message)
        except TimeoutError:
            raise ConnectionResetError("the client does not read") from None

    async def close(self) -> None:
        """Close the socket with a goodbye (1000) and end `run`."""
        self._ended = True
        await self.socket.close()

    async def close_with(self, close_code: int, reason: str) -> None:
        """Close the socket for a reason of ours and end `run`."""
        self._ended = True
        await self.socket.close(code=close_code, message=reason.encode())

    async def _read(self) -> None:
        while True:
            try:
                message = await self.socket.receive(timeout=IDLE_LIMIT_S)
            except TimeoutError:
                self._inbox.sign(Sign.IDLE)
                return
            if message.type is WSMsgType.BINARY or message.type is WSMsgType.TEXT:
                await self._inbox.put(message.data)
            else:
                self._inbox.sign(Sign.END)
                return

    async def _handle(self, item: bytes | str | Sign) -> None:
        match item:
            case b"":
                await self.client_closed()
            case bytes():
                self.sha256.update(item)
                await self._hear_frames(self._source.frames(item))
            case str():
                await self._obey(item)
            case Sign.NEWS:
                if self.utterance is not None:
                    await self.speech_continued(self.utterance)
            case Sign.IDLE:
                reason = "did not receive audio data or a text message within the timeout window."
                await self.fail("NET-0001", f"Deepgram {reason}", close_code=1011)
            case Sign.END:
                self._ended = True

    async def _obey(self, text: str) -> None:
        message = parse_message(text)
        if message is None:
            await self.fail("DATA-0000", "A text message is no JSON object with a type.", close_code=1008)
        else:
            await self.command(message)

    async def _hear_frames(self, frames: Iterable[bytes]) -> None:
        for number, frame in enumerate(frames, 1):
            for event in self.segmenter.feed(frame, is_speech=self._detector.is_speech(frame)):
                await self._on(event)
            if number % _FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _on(self, event: sg.Event) -> None:
        match event:
            case sg.SpeechStarted():
                await self._begin(event)
            case sg.LongSilence():
                await self.long_silence()
            case _ if self.utterance is not None:
                await self._go_on(self.utterance, event)

    async def _begin(self, started: sg.SpeechStarted) -> None:
        self.utterance = Utterance(
            self._pool,
            model=await self.lease.model(),
            start_s=started.at_s,
            interims=self._interims,
            cmn=self._cmn,
            on_news=lambda: self._inbox.sign(Sign.NEWS),
        )
        self.utterance.add(started.audio)
        await self.speech_began(self.utterance)

    async def _go_on(self, utterance: Utterance, event: sg.Event) -> None:
        match event:
            case sg.SpeechAudio():
                utterance.add(event.audio)
                await self.speech_continued(utterance)
            case sg.Paused():
                utterance.decode_early()
            case sg.Resumed():
                utterance.resume()
                await self.speech_resumed(utterance)
            case sg.Ended():
                decoded = await utterance.finish()
                self._cmn = decoded.cmn
                self._drop_utterance()
                await self.speech_ended(utterance, decoded, event)

    def _drop_utterance(self) -> None:
        if self.utterance is not None:
            self.utterance.close()
            self.utterance = None


def parse_message(text: str) -> Message | None:
    """A client's text message: a JSON object with a `type`; None for anything else."""
    if len(text) > MAX_TEXT_CHARS:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    return message
