"""Which addresses and URLs of tenants may be reached. Pure: opens and resolves nothing.

The strict rule of our egress reference: smokescreen's list plus the special-purpose blocks that
`ipaddress.is_global` lets through; 0 of the must-deny vectors pass, none of the allowed ones is refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from yarl import URL

from shared.errors import AddressBlockedError, InvalidInputError

# IANA special-purpose registries, read together with smokescreen's rule: what `is_global` alone lets through.
_BLOCKED_V4: Final = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890)
        "192.88.99.0/24",  # 6to4 relay anycast (RFC 7526)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # AMT (RFC 7450)
        "192.175.48.0/24",  # AS112 direct delegation (RFC 7534)
    )
)
_GLOBAL_UNICAST_V6: Final = ipaddress.IPv6Network("2000::/3")
_BLOCKED_V6: Final = tuple(
    ipaddress.IPv6Network(net)
    for net in (
        "2001::/23",  # IETF protocol assignments, Teredo among them (RFC 2928)
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4: carries any IPv4 address inside (RFC 3056)
        "2620:4f:8000::/48",  # AS112 direct delegation (RFC 7534)
        "3fff::/20",  # documentation (RFC 9637)
    )
)

MAX_URL_CHARS: Final = 2048

_TEXT = re.compile(rf"[\x21-\x5b\x5d-\x7e]{{1,{MAX_URL_CHARS}}}")  # printable ASCII without the backslash
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# WHATWG URL "ends in a number": forms such as 127.1 and 0x7f000001 are addresses, whatever the parser says.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_INTERNAL_SUFFIXES = (".localhost", ".local", ".internal", ".arpa")


def is_public_address(ip: str) -> bool:
    """Whether `ip` is an address on the public internet. Never raises.

    IPv6 counts only inside 2000::/3 without the special blocks there; an IPv4-mapped address counts as the
    IPv4 address. Anything but the canonical text of one address is refused: leading zeros, hexadecimal,
    octal and integer forms, scopes, spaces.
    """
    address = parse_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_UNICAST_V6 and not any(address in net for net in _BLOCKED_V6)
    if address is None or not address.is_global or address.is_multicast:
        return False
    return not any(address in net for net in _BLOCKED_V4)


def is_loopback_address(ip: str) -> bool:
    """Whether `ip` is in 127.0.0.0/8 (also IPv4-mapped) or ::1. Never raises."""
    address = parse_address(ip)
    return address is not None and address.is_loopback


def check_address(ip: str, *, allow_loopback: bool) -> None:
    """Refuse an address that must not be reached.

    Raises:
        AddressBlockedError: the address is not public. It is not repeated: a tenant shall not learn what an
            internal name resolves to.
    """
    if not (is_public_address(ip) or (allow_loopback and is_loopback_address(ip))):
        raise AddressBlockedError("the URL leads to an address that is not on the public internet")


def parse_address(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `ip` writes in canonical text, IPv4-mapped ones as IPv4; None for anything else."""
    # ip_address() also takes integers, bytes and scoped addresses
    if not isinstance(ip, str) or "%" in ip:
        return None
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def validate_public_url(url: str, *, allow_loopback: bool = False) -> str:
    """Check the text of a URL that a tenant gives; opens and resolves nothing.

    https only (http to loopback where `allow_loopback`), ASCII only, no user name, port 443 or 1024 and above
    (any on loopback), no IP literal that is not public, no name that can't be public.

    Returns:
        The URL as it will be requested, normalised by the parser of the HTTP client, without its fragment.

    Raises:
        InvalidInputError: it is no URL of that form. The URL is not repeated: its query may hold a secret.
        AddressBlockedError: its host is not on the public internet.
    """
    if not isinstance(url, str) or not _TEXT.fullmatch(url):
        raise InvalidInputError("a URL is 1 to 2048 printable ASCII characters without backslash")
    try:
        parsed = URL(url)
        host, port = parsed.raw_host or "", parsed.port
    except ValueError:
        raise InvalidInputError("the URL can't be parsed") from None
    loopback = allow_loopback and (host == "localhost" or is_loopback_address(host))
    if parsed.scheme != "https" and not (parsed.scheme == "http" and loopback):
        raise InvalidInputError("the URL must begin with https://")
    if "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]:
        raise InvalidInputError("the URL must not hold a user name or password")
    if not loopback:
        if port is None or not (port == 443 or port >= 1024):
            raise InvalidInputError("the URL's port must be 443 or at least 1024")
        _check_host(host)
    return str(parsed.with_fragment(None))


def _check_host(host: str) -> None:
    if ":" in host or _ENDS_IN_NUMBER.fullmatch(host):
        check_address(host, allow_loopback=False)
    elif not _NAME.fullmatch(host):
        raise InvalidInputError("the URL's host is not a name")
    elif "." not in host or host.endswith(_INTERNAL_SUFFIXES):
        raise AddressBlockedError("the URL's host is a name of internal networks", host=host)
