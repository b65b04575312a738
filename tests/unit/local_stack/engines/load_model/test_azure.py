from __future__ import annotations

import pytest

from local_stack.engines.load_model.azure import Ssml
from local_stack.engines.load_model.vendor_errors import Refused

SPEAK = '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">{}</speak>'


def parse(inner: str) -> Ssml:
    return Ssml.parse(SPEAK.format(inner).encode())


def test_the_text_and_the_voice_are_found_under_styles_and_prosody() -> None:
    ssml = parse('<voice name="jenny"><prosody rate="1.1">Fish &amp; <b>chips</b>.</prosody></voice>')

    assert (ssml.voice, ssml.text) == ("jenny", "Fish & chips.")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"Hello",
        SPEAK.format('<voice name="jenny">Fish & chips</voice>').encode(),
        SPEAK.format('<voice name="jenny">1 < 2</voice>').encode(),
        SPEAK.format("no voice").encode(),
        b'<!DOCTYPE speak [<!ENTITY a "aaaa">]><speak><voice name="jenny">&a;</voice></speak>',
    ],
)
def test_a_document_that_azure_would_refuse_is_refused(document: bytes) -> None:
    with pytest.raises(Refused) as caught:
        Ssml.parse(document)

    assert caught.value.status == 400
