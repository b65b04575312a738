"""Seals personal data with one AES-256-GCM key of this machine.

The layout of an envelope stands in shared/contracts/sealed.py. Nonces are 96 random bits: a key may seal 2^32
values before a repeated nonce becomes likelier than 2^-32 (NIST SP 800-38D, 8.3), so keys are to be rotated
long before; a key's file is its whole life, and deleting it erases what it sealed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from ulid import ULID

from shared.contracts.sealed import Sealed, SealedPlace
from shared.errors import SealError

KEY_BYTES: Final = 32
_ALG: Final = "A256GCM.2"
_NONCE_BYTES: Final = 12
_KEY_FILE_MAX_BYTES: Final = 1024


class AesGcmSealer:
    """Sealer with one local key for all tenants. Safe to use from any thread.

    Args:
        key: 32 random bytes.

    Raises:
        SealError: the key has another length.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise SealError(f"a sealing key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)
        # tells keys apart; 64 bits of a hash of 256 random bits give nothing of them away
        self._key_id = f"local-{hashlib.sha256(b'parley key id' + key).hexdigest()[:16]}"

    @classmethod
    def from_file(cls, path: Path, *, create: bool = False) -> AesGcmSealer:
        """Read the key from a file: 32 bytes in base64.

        Args:
            path: the file.
            create: make it (readable by its owner only) when it is missing; safe when several processes do.

        Raises:
            SealError: missing, unreadable, or not such a key.
        """
        if create and not path.exists():
            try:
                _create_key_file(path)
            except OSError as error:
                raise SealError(f"the sealing key file can't be made: {error.strerror}") from None
        return cls(_read_key_file(path))

    @property
    def key_id(self) -> str:
        """`local-` and the key's fingerprint."""
        return self._key_id

    def seal(self, text: str, place: SealedPlace) -> Sealed:
        """Encrypt `text` for one place. There is one key for all tenants; the place holds them apart."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound_to = place.associated_data(alg=_ALG, key_id=self._key_id)
        sealed = self._cipher.encrypt(nonce, text.encode("utf-8", "surrogatepass"), bound_to)
        return Sealed(key_id=self._key_id, alg=_ALG, ct=base64.b64encode(nonce + sealed).decode())

    def unseal(self, sealed: Sealed, place: SealedPlace) -> str:
        """Decrypt what stands at `place`.

        Raises:
            SealError: sealed with another key, changed since, or sealed for another place.
        """
        if sealed.key_id != self._key_id:
            raise SealError(
                "sealed with another key", hint=f"this process has {self._key_id}", key_id=sealed.key_id
            )
        bound_to = place.associated_data(alg=sealed.alg, key_id=sealed.key_id)
        try:
            data = base64.b64decode(sealed.ct, validate=True)
            plain = self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], bound_to)
            return plain.decode("utf-8", "surrogatepass")
        except (InvalidTag, binascii.Error, ValueError):
            raise SealError(
                "the sealed value was changed, or moved from another tenant, call or field",
                key_id=sealed.key_id,
                path=place.path,
            ) from None


def _create_key_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # written beside and linked: nobody ever reads half a key, and the first of several processes wins
    beside = path.with_name(f".{path.name}.{ULID()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink()


def _read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(_KEY_FILE_MAX_BYTES)
    except OSError as error:
        raise SealError(
            f"the sealing key file can't be read: {error.strerror}",
            hint="PARLEY_SEALING_KEY_FILE must name a file with 32 random bytes in base64.",
        ) from None
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SealError(
            "the sealing key file does not hold 32 bytes in base64",
            hint="Make one with: head -c 32 /dev/urandom | base64",
        ) from None
    return key
