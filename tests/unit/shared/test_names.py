"""Names that processes agree on."""

from __future__ import annotations

from shared.ids import IdKind, new_id
from shared.names import Header, RedisPrefix, Topic


def test_every_topic_is_in_the_list_and_carries_its_version() -> None:
    named = {value for name, value in vars(Topic).items() if name.isupper() and isinstance(value, str)}
    assert set(Topic.ALL) == named
    assert all(topic.endswith(".v1") for topic in Topic.ALL)


def test_our_own_headers_do_not_pose_as_cloudevents() -> None:
    assert not any(name.startswith("ce_") for name in (Header.TENANT_ID, Header.CALL_ID, Header.TRACEPARENT))


def test_a_redis_prefix_pins_one_tenant_to_one_slot() -> None:
    tenant_id = new_id(IdKind.TENANT)
    assert RedisPrefix.tenant(tenant_id) == f"t:{{{tenant_id}}}:"
    assert RedisPrefix.cell("eu-1") == "c:{eu-1}:"
