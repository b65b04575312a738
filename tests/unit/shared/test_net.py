"""Which addresses and URLs may be reached. No test here opens a socket: a scripted resolver answers."""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AddressBlockedError, InvalidInputError, ParleyError, RemoteError
from shared.net import check_public_url, is_loopback_address, is_public_address, validate_public_url
from tests.fakes.resolver import ScriptedResolver

PUBLIC = "93.184.216.34"
METADATA = "169.254.169.254"

# rancher.com stands in the vectors as the page that documents an attack; its name alone is harmless, so here
# it resolves to what the attack is after.
HOSTILE_NAMES = {
    "hooks.example.com": [[PUBLIC]],
    "rancher.com": [["169.254.169.250"]],
    "localtest.me": [["::1"]],
}


def _vectors() -> dict[str, Any]:
    root = Path(os.environ.get("PARLEY_TEST_DATA", Path(__file__).parents[3].parent / "shared"))
    loaded: dict[str, Any] = json.loads((root / "vectors/ssrf/ssrf_public.json").read_text(encoding="utf-8"))
    return loaded


async def _verdict(url: str, resolver: ScriptedResolver) -> str:
    try:
        await check_public_url(url, resolver)
    except ParleyError:
        return "deny"
    return "allow"


@pytest.mark.needs("vectors")
def test_every_address_of_the_public_vectors_is_judged_as_they_say() -> None:
    cases = [case for case in _vectors()["cases"] if case["kind"] == "ip"]
    wrong = [
        case
        for case in cases
        if case["expect"] != "either" and is_public_address(case["input"]) != (case["expect"] == "allow")
    ]

    assert len(cases) == 68
    assert wrong == []


@pytest.mark.needs("vectors")
async def test_every_url_of_the_public_vectors_is_judged_as_they_say() -> None:
    cases = [case for case in _vectors()["cases"] if case["kind"] == "url"]
    resolver = ScriptedResolver(HOSTILE_NAMES)
    # http alone would be refused for its scheme and prove nothing about the host
    urls = [
        (url, case["expect"])
        for case in cases
        for url in {case["input"], case.get("https_variant", case["input"])}
    ]
    wrong = [url for url, expected in urls if await _verdict(url, resolver) != expected]

    assert len(cases) == 16
    assert wrong == []


@pytest.mark.needs("vectors")
async def test_names_of_the_vectors_that_resolve_inside_are_refused() -> None:
    for case in _vectors()["dns_cases"]:
        resolver = ScriptedResolver({case["host"]: [case["answers"]]})
        with pytest.raises(AddressBlockedError):
            await check_public_url(f"https://{case['host']}/hook", resolver)
        assert resolver.asked == [case["host"]]


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        METADATA,
        "169.254.170.23",
        "0.0.0.0",  # an address to refuse, nothing binds to it
        "224.0.0.1",
        "192.0.0.170",
        "192.88.99.1",
        "192.31.196.1",
        "192.175.48.6",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "2620:4f:8000::1",
        "4000::1",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
    ],
)
def test_special_addresses_are_not_public(ip: str) -> None:
    assert not is_public_address(ip)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "8.8.8.8 ", "8.8.8", "08.8.8.8", "8.8.8.010", "134744072", "0x8080808", "8.8.8.8/32"),
        *("8.8.8.8:443", "[2001:4860:4860::8888]", "2001:4860::8888%eth0", "٨.8.8.8", "8。8。8。8"),
        *("localhost", "\x00"),
    ],
)
def test_other_forms_than_the_canonical_text_of_one_address_are_not_public(text: str) -> None:
    assert not is_public_address(text)


@pytest.mark.parametrize("ip", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "223.255.255.254"])
def test_public_addresses_are_public(ip: str) -> None:
    assert is_public_address(ip)


@pytest.mark.parametrize("value", [134744072, None, b"\x08\x08\x08\x08", 8.8])
def test_what_is_no_text_is_not_public(value: object) -> None:
    assert not is_public_address(value)  # type: ignore[arg-type]


@given(st.text())
def test_no_text_makes_the_check_fail(text: str) -> None:
    assert is_public_address(text) in (True, False)
    assert is_loopback_address(text) in (True, False)


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_special(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public_address(str(address)):
        assert address.is_global or getattr(address, "ipv4_mapped", None) is not None
        assert not address.is_private
        assert not address.is_multicast


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "HTTP://hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "//hooks.example.com/",
        "https:hooks.example.com",
        "https://",
        "https:///path",
        "",
        "https://user@hooks.example.com/",
        "https://user:secret@hooks.example.com/",
        "https://@hooks.example.com/",
        "https://hooks.example.com:80/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:x/",
        "https://hooks.example.com\\@evil.example/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nHost: x",
        "https://hoöks.example.com/",
        "https://hooks..example.com/",
        "https://-hooks.example.com/",
        "https://hooks.example.com./",
        "https://" + "a" * 64 + ".example.com/",
        "https://hooks.example.com/" + "a" * 2048,
    ],
)
def test_malformed_or_forbidden_urls_are_invalid_input(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        validate_public_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "api.localhost", "printer.local", "vault.internal", "kubernetes"),
        *("1.0.0.127.in-addr.arpa", "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::1]"),
        *("[::ffff:127.0.0.1]", "[fe80::1]", METADATA, "169.254.43518", "[::ffff:169.254.169.254]"),
        *("example.0x0", "[64:ff9b::a9fe:a9fe]"),
    ],
)
def test_hosts_of_internal_networks_are_blocked_by_their_text(host: str) -> None:
    with pytest.raises(AddressBlockedError):
        validate_public_url(f"https://{host}/hook")


def test_a_checked_url_is_the_one_that_will_be_requested() -> None:
    assert (
        validate_public_url("https://Hooks.Example.com:443/a%20b?x=1#part")
        == "https://hooks.example.com/a%20b?x=1"
    )
    assert validate_public_url("https://hooks.example.com:8443") == "https://hooks.example.com:8443"
    assert validate_public_url("https://8.8.8.8:1024/x") == "https://8.8.8.8:1024/x"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80/", "http://localhost:9000/", "http://[::1]:1/", "https://127.0.0.1/"]
)
def test_loopback_is_reached_only_where_it_is_allowed(url: str) -> None:
    assert validate_public_url(url, allow_loopback=True)
    with pytest.raises((InvalidInputError, AddressBlockedError)):
        validate_public_url(url)


def test_allowing_loopback_allows_nothing_else() -> None:
    for url in ("http://hooks.example.com/", "http://10.0.0.1/"):
        with pytest.raises(InvalidInputError):
            validate_public_url(url, allow_loopback=True)
    with pytest.raises(AddressBlockedError):
        validate_public_url("https://10.0.0.1/", allow_loopback=True)


async def test_one_internal_answer_among_public_ones_refuses_the_name() -> None:
    resolver = ScriptedResolver({"hooks.example.com": [[PUBLIC, "10.0.0.1"]]})
    with pytest.raises(AddressBlockedError) as caught:
        await check_public_url("https://hooks.example.com/", resolver)
    assert "10.0.0.1" not in str(caught.value)


async def test_a_name_that_does_not_resolve_is_a_remote_failure() -> None:
    with pytest.raises(RemoteError):
        await check_public_url("https://nowhere.example.com/", ScriptedResolver({}))


async def test_an_address_literal_is_never_resolved() -> None:
    resolver = ScriptedResolver({})
    assert await check_public_url("https://8.8.8.8/", resolver) == "https://8.8.8.8/"
    assert resolver.asked == []
