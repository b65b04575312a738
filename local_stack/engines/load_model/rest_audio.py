"""The REST form of speech that three vendors share: a whole text in, chunked raw PCM out."""

from __future__ import annotations

import time
import uuid

from aiohttp import web

from local_stack.engines.load_model.faults import ActiveFault, Target
from local_stack.engines.load_model.speech import SegmentText, deliver, draw_voice, speak
from local_stack.engines.load_model.state import LOAD_MODEL
from local_stack.engines.load_model.wire import GARBAGE_PAGE, HttpWire


async def answer_audio(
    request: web.Request,
    target: Target,
    text: str,
    fault: ActiveFault | None,
    *,
    sample_rate_hz: int,
    content_type: str = "audio/l16",
    speed: float = 1.0,
) -> web.StreamResponse:
    """Answer with the speech of `text`, as whole as `fault` lets it be.

    `garbage` is a proxy's error page with status 200 in the place of the audio, which a client that looks at
    the status only takes for PCM.

    Raises:
        Broken: the fault ended the connection.
    """
    model = request.app[LOAD_MODEL]
    request_id = str(uuid.uuid4())
    draw = draw_voice(model, target, request_id=request_id, index=0, fault=fault)
    if fault is not None and fault.kind == "garbage" and fault.immediate:
        return web.Response(text=GARBAGE_PAGE, content_type="text/html")
    response = web.StreamResponse(headers={"Content-Type": content_type, "dg-request-id": request_id})
    await response.prepare(request)
    wire = HttpWire(request, response, model.faults, garbage=GARBAGE_PAGE.encode())
    segment = SegmentText("flush")
    segment.add(text, draw.received_at)
    segment.finish(time.monotonic())
    audio = speak(segment, model=model, draw=draw, sample_rate_hz=sample_rate_hz, speed=speed)
    await deliver(audio, draw, lambda pcm: wire.content(pcm, fault), fault)
    return response
