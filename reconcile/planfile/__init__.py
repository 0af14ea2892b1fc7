"""
The saved plan: a file of JSON lines that nobody can change unseen.

In: a `Plan` and, where there is one, the key that seals it. Out: the same plan, or an error; never half of one.

    {"reconcile_plan": 1, "sha256": …, "seal": …, "key_id": …, "check": …}
    {"bindings": {…}}
    {"totals": {…}}
    {"change": {…}}      any number; then unsettled, unread, blocked and warning

`sha256` is of every byte after the first line (`tail -n +2 FILE | sha256sum`) and is the plan's digest. `check` is of
the first line without it, so that no byte of the file is unguarded where there is no key. `seal` is an HMAC-SHA256 over
version, key id and digest; it is checked before any line after the first is taken apart. Every line has one spelling:
any other is refused. It is JSON and never pickle, and it holds no secret: `core.values.to_json` refuses one.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from reconcile.core.plan import FORMAT, Plan
from reconcile.core.seal import Fit, Seal
from reconcile.errors import InvalidInput, Problem, ReconcileError, Refused
from reconcile.files import NotRead, open_anywhere, sync_directory
from reconcile.planfile.rows import CHANGES, line_of, lines, plan_of

MAX_BYTES = 2 * 2**30  # two million changes of a kilobyte
MAX_LINE_BYTES = 64 * 2**20
_MARK = b'{"reconcile_plan": '
_HEADER = ("reconcile_plan", "sha256", "seal", "key_id", "check")
_AGAIN = "Run plan again"
_ENCODER = json.JSONEncoder(allow_nan=False)
_SORTED = json.JSONEncoder(allow_nan=False, sort_keys=True)


def write(plan: Plan, path: Path, *, seal_key: bytes | None, key_id: str | None) -> str:
    """
    Saves a plan, mode 0600, whole or not at all, and returns its digest (hex).

    Args:
        path: replaced when it holds a plan (or is empty), refused when it is anything else.
        seal_key: 32 bytes made for this purpose alone; None = not sealed.
        key_id: 16 hex digits that name the key, so that a plan sealed with another is told; None without a key.

    Raises:
        InvalidInput: something else stands at the path, or the path cannot be written.
        ReconcileError: the disk is full or fails.
        TypeError: the plan holds a secret.
    """
    draft, descriptor = _draft(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_header("0" * 64, seal_key, key_id))
            digest = hashlib.sha256()
            for line in lines(plan):
                digest.update(line)
                file.write(line)
            file.seek(0)
            file.write(_header(digest.hexdigest(), seal_key, key_id))
            file.flush()
            os.fsync(file.fileno())
        _check_replaceable(path)
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise ReconcileError(Problem(f"{path} cannot be written: {error.strerror}", hint="Make room")) from error
    finally:
        draft.unlink(missing_ok=True)
    return digest.hexdigest()


def check_writable(path: Path) -> None:
    """Asks, before there is a plan, whether one could be saved at a path. Raises InvalidInput, as `write`."""
    draft, descriptor = _draft(path)
    os.close(descriptor)
    draft.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Saved:
    """
    A plan that was read from a file.

    Attributes:
        digest: SHA-256, hex, of every byte after the first line.
        seal: unless it is verified, the file may be anybody's: whoever applies it plans again, compares the two by
            `effect_of`, asks, and carries out the plan that was made here.
    """

    plan: Plan
    digest: str
    seal: Seal


def read(path: Path, *, seal_key: bytes | None, key_id: str | None, only_shown: bool = False) -> Saved:
    """
    A saved plan, and how its seal stands.

    Args:
        seal_key, key_id: as for `write`.
        only_shown: nothing is done with it, so that a seal which does not fit is told and no refusal.

    Raises:
        Refused: a key is here, and the file has no seal, one of another key, or one that does not fit. Nothing after
            the first line was taken apart then.
        InvalidInput: it is not a plan, is damaged, or was written by a newer version.
    """
    with _opened(path) as file:
        try:
            header = _read_header(path, file)
            start = file.tell()
            if hashlib.file_digest(file, "sha256").hexdigest() != header["sha256"]:
                raise _damaged(path)
            seal = _checked(header, seal_key, key_id)
            if seal_key is not None and not seal.verified and not only_shown:
                raise _refused(path, seal)
            file.seek(start)
            digest = hashlib.sha256()
            plan = plan_of(_body(file, digest))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise _damaged(path) from error
        except OSError as error:
            raise InvalidInput(Problem(f"{path} cannot be read: {error.strerror}")) from error
    # Once more, of the bytes that were taken apart: somebody may have written to the file in between.
    if digest.hexdigest() != header["sha256"]:
        raise _damaged(path)
    return Saved(plan, digest.hexdigest(), seal)


def _checked(header: Mapping[str, Any], seal_key: bytes | None, here: str | None) -> Seal:
    key_id = header["key_id"]
    if header["seal"] is None:
        return Seal(Fit.NONE, None, here)
    if seal_key is None:
        return Seal(Fit.NO_KEY, key_id)
    if key_id != here:
        return Seal(Fit.ANOTHER, key_id, here)
    good = hmac.compare_digest(header["seal"], _seal(header["sha256"], seal_key, key_id))
    return Seal(Fit.FITS if good else Fit.BROKEN, key_id, here)


def _refused(path: Path, seal: Seal) -> Refused:
    match seal.fit:
        case Fit.NONE:
            what = f"{path} is not sealed (key: none), and the key here is {seal.here}"
        case Fit.ANOTHER:
            what = f"{path} is sealed with the key {seal.key_id}, and the key here is {seal.here}"
        case _:
            what = f"{path} was changed after it was made: its seal, of the key {seal.key_id}, does not fit {seal.here}"
    hint = "Plan again here; or plan where RECONCILE_FINGERPRINT_KEY is the same key as here"
    return Refused(Problem(what, hint=f"{hint} (`reconcile key show-id` tells which key is here)"))


def looks_like_plan(path: Path) -> bool:
    """Whether a plan, whole or damaged, stands at the path, told by its first bytes; never blocks on a FIFO."""
    try:
        with _opened(path) as file:
            return file.read(len(_MARK)) == _MARK
    except InvalidInput:
        return False


def effect_of(plan: Plan) -> str:
    """
    SHA-256, hex, over what a plan would do: two plans that do the same have the same.

    In it: every change with what is sent, what it replaces and why it is blocked. Not in it: when and for what the plan
    was made (the caller compares the bindings one by one), the places in the files, what is only said about a change
    (notes), and versions and dates of the live resources, which move without a change.
    """
    digest = hashlib.sha256()
    for change in sorted(plan.changes, key=lambda change: change.address):
        row = CHANGES.dump(change)
        for name in ("where", "notes", "facts", "seen"):
            row.pop(name, None)
        row["fields"] = [
            {name: value for name, value in field.items() if name not in ("where", "note", "overwrites")}
            for field in row.get("fields", ())
        ]
        digest.update(_SORTED.encode(row).encode() + b"\n")
    return digest.hexdigest()


def _header(sha256: str, seal_key: bytes | None, key_id: str | None) -> bytes:
    seal = None if seal_key is None else _seal(sha256, seal_key, key_id)
    return _header_line({"reconcile_plan": FORMAT, "sha256": sha256, "seal": seal, "key_id": seal and key_id})


def _header_line(header: Mapping[str, Any]) -> bytes:
    """The first line with its own check; its length does not depend on digest and seal."""
    rest = {name: header[name] for name in _HEADER if name != "check"}
    check = hashlib.sha256(_ENCODER.encode(rest).encode()).hexdigest()[:16]
    return _ENCODER.encode({**rest, "check": check}).encode() + b"\n"


def _seal(sha256: str, seal_key: bytes, key_id: str | None) -> str:
    text = _ENCODER.encode(["reconcile plan", FORMAT, key_id, sha256])
    return hmac.new(seal_key, text.encode(), hashlib.sha256).hexdigest()


def _draft(path: Path) -> tuple[Path, int]:
    """A new file beside the path, open for writing. Raises InvalidInput."""
    _check_replaceable(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        return draft, os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidInput(
            Problem(f"{path} cannot be written: {error.strerror}", hint="Name another file with --out")
        ) from error


def _check_replaceable(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidInput(Problem(f"{path} cannot be written: {error.strerror}")) from error
    if not stat.S_ISREG(found.st_mode) or (found.st_size and not looks_like_plan(path)):
        raise InvalidInput(
            Problem(f"{path} is there and is not a plan file, so it is not replaced", hint="Name another file")
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """The file, open for reading. Raises InvalidInput when it is not a plain file, or too large to be a plan."""
    try:
        # Asked before it is opened as well, since opening a device can do something.
        regular = stat.S_ISREG(path.stat().st_mode)
        file = open_anywhere(path) if regular else None
    except (OSError, ValueError) as error:
        raise InvalidInput(Problem(f"{path} cannot be read: {getattr(error, 'strerror', error)}")) from error
    except NotRead as wrong:
        raise InvalidInput(Problem(f"{path} {wrong.why}")) from None
    if file is None:
        raise InvalidInput(Problem(f"{path} is not a plan file: it is not a plain file"))
    with file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise InvalidInput(Problem(f"{path} is not a plan file: it is far too large"))
        yield file


def _read_header(path: Path, file: BufferedReader) -> dict[str, Any]:
    line = file.readline(4096)
    if not line.startswith(_MARK):
        raise InvalidInput(Problem(f"{path} is not a plan file", hint="plan --out FILE makes one"))
    header = json.loads(line)
    version = header["reconcile_plan"]
    if header.keys() != set(_HEADER) or _header_line(header) != line or type(version) is not int:
        if type(version) is int and version > FORMAT and "check" not in header:
            raise _newer(path, version)
        raise _damaged(path)
    if version != FORMAT:
        raise _newer(path, version)
    sealed = header["seal"] is not None
    for name, digits in (("sha256", 64), *((("seal", 64), ("key_id", 16)) if sealed else ())):
        if not isinstance(header[name], str) or not re.fullmatch(f"[0-9a-f]{{{digits}}}", header[name]):
            raise _damaged(path)
    if not sealed and header["key_id"] is not None:
        raise _damaged(path)
    return dict(header)


def _body(file: BufferedReader, digest: Any) -> Iterator[tuple[str, Any]]:
    """Lines after the first as `(kind, row)`; each is added to the digest, and refused in any spelling but ours."""
    while line := file.readline(MAX_LINE_BYTES):
        digest.update(line)
        parsed = json.loads(line)
        if not isinstance(parsed, dict):
            raise TypeError("not an object")
        ((kind, row),) = parsed.items()
        if line_of(kind, row) != line:
            raise ValueError("not as we write it")
        yield kind, row


def _damaged(path: Path) -> InvalidInput:
    return InvalidInput(
        Problem(f"{path} is a damaged plan file: it is cut short, or was changed after it was made", hint=_AGAIN)
    )


def _newer(path: Path, version: Any) -> InvalidInput:
    return InvalidInput(
        Problem(
            f"{path} is a plan of format {version}, and this reconcile knows format {FORMAT}",
            hint=f"Use the reconcile that made it, or: {_AGAIN.lower()}",
        )
    )
