"""
The fingerprint key: what tells, apart from the state, whether a secret changed (docs/architecture.md, "Fingerprints").

It comes from `RECONCILE_FINGERPRINT_KEY`, else from a 0600 file in the user's configuration directory. Whoever has
the state but not the key cannot try out PINs against the fingerprints in it.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import stat
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from reconcile.core.trust import KEY
from reconcile.errors import InvalidInput, Problem, StateError
from reconcile.files import sync_directory

KEY_VARIABLE = KEY
FILE_NAME = "fingerprint.key"

_LEAST = 32  # bytes, as many as HMAC-SHA256 uses
_MOST = 4096  # bytes of the file; more is another file
_HOW_TO_MAKE = "`reconcile key new` makes one"


class FingerprintKey:
    """
    A key of at least 32 bytes. It has no repr, equality or pickle that shows it.

    Attributes:
        key_id: 16 hex digits that name the key and say nothing about it; it stands beside every fingerprint.
    """

    __slots__ = ("_key", "key_id")

    def __init__(self, key: bytes) -> None:
        if len(key) < _LEAST:
            raise InvalidInput(Problem(f"a fingerprint key has at least {_LEAST} bytes", hint=_HOW_TO_MAKE))
        self._key = key
        self.key_id = self.subkey("key id").hex()[:16]

    def subkey(self, purpose: str) -> bytes:
        """32 bytes for one purpose, such as sealing a plan: no purpose can be served by the key of another."""
        return hmac.digest(self._key, b"reconcile\0" + purpose.encode(), hashlib.sha256)

    def __repr__(self) -> str:
        return f"<FingerprintKey {self.key_id}>"

    def __reduce__(self) -> str:
        raise TypeError("a key is not written anywhere")


def new_key() -> str:
    """A new key, as it stands in the variable or the file: 32 random bytes as hex."""
    return os.urandom(_LEAST).hex()


def config_dir(environ: Mapping[str, str], home: Path | None) -> Path | None:
    """
    The user's configuration directory (XDG): `$XDG_CONFIG_HOME/reconcile`, else `~/.config/reconcile`.

    None for a user without either.
    """
    named = Path(environ.get("XDG_CONFIG_HOME", ""))
    above = named if named.is_absolute() else home and home / ".config"
    return above and above / "reconcile"


def key_file(config_dir: Path) -> Path:
    """The file that holds the key where the variable is not set."""
    return config_dir / FILE_NAME


def load_key(environ: Mapping[str, str], config_dir: Path | None, create: bool) -> FingerprintKey | None:
    """
    The key of this user or pipeline; None when there is none.

    Args:
        config_dir: where the file `fingerprint.key` is, of `config_dir`; None = nowhere.
        create: makes the file when there is neither variable nor file.

    Raises:
        InvalidInput: the variable is empty or too short.
        StateError: the file is no plain file of this user, can be read by others, holds no key, or cannot be made.
    """
    text = environ.get(KEY_VARIABLE)
    if text is not None:
        key = _decode(text)
        if key is None:
            raise InvalidInput(
                Problem(
                    f"{KEY_VARIABLE} is too short for a key",
                    notes=(f"it takes {_LEAST} bytes as hex or base64, or a text of {_LEAST} characters or more",),
                    hint=_HOW_TO_MAKE,
                )
            )
        return FingerprintKey(key)
    if config_dir is None:
        if create:
            raise StateError(
                Problem("a fingerprint key cannot be made: this user has no home directory", hint=f"Use {KEY_VARIABLE}")
            )
        return None
    path = key_file(config_dir)
    key = _read(path)
    if key is None and create:
        _make(path)
        key = _read(path)
    return FingerprintKey(key) if key is not None else None


def _decode(text: str) -> bytes | None:
    """Hex, else base64, of 32 bytes or more; else a text of 32 characters or more, as UTF-8; else None."""
    text = text.strip()
    try:
        if len(key := bytes.fromhex(text)) >= _LEAST:
            return key
    except ValueError:
        pass
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        if len(key := b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)) >= _LEAST:
            return key
    except (binascii.Error, ValueError):
        pass
    return text.encode(errors="surrogateescape") if len(text) >= _LEAST else None


def _read(path: Path) -> bytes | None:
    """The key in the file; None when there is no file, as far as this user may see."""
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0)
    try:
        link = stat.S_ISLNK(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None  # a home like /dev/null or /nonexistent, or another user's: no key of ours is there
    except (OSError, ValueError) as error:
        raise _unusable(path, f"cannot be read: {(getattr(error, 'strerror', None) or 'failed').lower()}", "") from None
    if link:
        raise _unusable(path, "is a symbolic link", f"Put the key itself there, or into {KEY_VARIABLE}")
    try:
        with os.fdopen(os.open(path, flags | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise _unusable(path, "is not a plain file", "Move it away")
            if os.name == "posix" and facts.st_uid != os.geteuid():
                raise _unusable(path, "belongs to another user", f"Use {KEY_VARIABLE}")
            if os.name == "posix" and facts.st_mode & 0o077:
                raise _unusable(path, "can be read by others", f"If nobody did: `chmod 600 {quote(str(path))}`")
            data = file.read(_MOST + 1)
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise _unusable(path, "is a directory", "Move it away") from None
    except OSError as error:
        raise _unusable(path, f"cannot be read: {(error.strerror or 'failed').lower()}", "") from None
    key = _decode(data.decode(errors="surrogateescape")) if len(data) <= _MOST else None
    if key is None:
        what = "holds no key" if data.strip() else "is empty"
        raise _unusable(path, what, "Restore it; without it every secret counts as unknown, then delete the file")
    return key


def _make(path: Path) -> None:
    """
    Writes a new key; the file appears whole or not at all, and one that somebody else made meanwhile stays.

    Raises:
        StateError: the directory cannot be written.
    """
    temporary = path.with_name(f".{FILE_NAME}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            _write(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    except FileExistsError:
        if not path.exists():  # a plain file stands where a directory should be
            raise _unusable(path, "cannot be made: a file is in the way", f"Use {KEY_VARIABLE}") from None
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise _unusable(path, f"cannot be made: {reason}", f"Use {KEY_VARIABLE}") from None


def _write(path: Path) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(new_key() + "\n")
        file.flush()
        os.fsync(file.fileno())


def _unusable(path: Path, what: str, hint: str) -> StateError:
    return StateError(Problem(f"the fingerprint key {path} {what}", hint=hint or None))
