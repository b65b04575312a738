from __future__ import annotations

import json

from livekit import api

from edge_agents.host.livekit_worker import DispatchMetadata, parse_metadata
from local_stack.callers.livekit_media import caller_token
from shared.names import AGENT_NAME, Attribute

KEY, SECRET = "parley-local", "a secret of at least thirty-two bytes"
METADATA = DispatchMetadata(tenant_id="ten_1", agent_id="agt_1", call_id="call_1")


def test_a_callers_token_opens_one_room_and_says_whose_call_it_is() -> None:
    claims = api.TokenVerifier(KEY, SECRET).verify(caller_token(METADATA, key=KEY, secret=SECRET))
    assert claims.video is not None
    assert (claims.video.room_join, claims.video.room) == (True, "call_1")
    assert not claims.video.room_create
    assert not claims.video.room_admin
    assert claims.attributes == {
        Attribute.TENANT_ID: "ten_1",
        Attribute.AGENT_ID: "agt_1",
        Attribute.CALL_ID: "call_1",
    }


def test_a_caller_can_not_change_what_our_side_signed() -> None:
    claims = api.TokenVerifier(KEY, SECRET).verify(caller_token(METADATA, key=KEY, secret=SECRET))
    assert claims.video is not None
    assert claims.video.can_update_own_metadata is False


def test_the_dispatch_in_the_token_is_what_the_worker_reads() -> None:
    claims = api.TokenVerifier(KEY, SECRET).verify(caller_token(METADATA, key=KEY, secret=SECRET))
    assert claims.room_config is not None
    (dispatch,) = claims.room_config.agents
    assert dispatch.agent_name == AGENT_NAME
    assert parse_metadata(dispatch.metadata) == METADATA
    assert json.loads(dispatch.metadata) == METADATA.model_dump()
