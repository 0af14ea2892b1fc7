"""
The vendor's lists by page: `?PageSize=&Page=&PageToken=` and the `meta` of the answer (docs/apis/microvisor.md,
"Lists").

`Page` is bookkeeping of the client and decides nothing. A token is opaque; it holds the last key of the page
before (or the first of the page after), or, in a world with `paging: "offset"`, a position.
"""

import base64
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from reconcile.simulator.exchange import EMPTY

DEFAULT_SIZE = 50
MAX_SIZE = 1000

_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
# After or before a key, or at an offset.
_AFTER, _BEFORE, _AT = "A", "B", "O"
# Where another token is, so that there is a new one for the same page.
_AGAIN = "R"


class PagingError(ValueError):
    """A paging parameter that the API refuses."""


def page(
    keys: list[str], query: Mapping[str, str], url: str, name: str, paging: str, endless: str = ""
) -> tuple[list[str], dict[str, Any]]:
    """
    The keys of one page, and its `meta`.

    Args:
        keys: all keys, in order.
        url: the absolute URL of the list, without a query.
        name: the field of the answer that holds the list.
        paging: "cursor" or "offset".
        endless: see `exchange.Call`.

    Raises:
        PagingError: a parameter is out of range, or no token of ours.
    """
    size = _whole(query, "PageSize", DEFAULT_SIZE, 1, MAX_SIZE)
    number = _whole(query, "Page", 0, 0, 999_999_999)
    token = query.get("PageToken", "")
    place = _place(token)
    start = 0
    stop = size
    if place:
        kind, value = _read(place)
        if kind == _AFTER:
            start = bisect_right(keys, value)
        elif kind == _BEFORE:
            start = max(0, bisect_left(keys, value) - size)
        else:
            start = int(value)
        stop = start + size
    taken = [] if endless == EMPTY else keys[start:stop]
    following = previous = None
    if endless:
        following = _token(_AGAIN, f"{number + 1} {place}")
    elif stop < len(keys):
        following = _token(_AT, str(stop)) if paging == "offset" else _token(_AFTER, taken[-1])
    if start > 0 and taken:
        previous = _token(_AT, str(max(0, start - size))) if paging == "offset" else _token(_BEFORE, taken[0])
    return taken, {
        "page": number,
        "page_size": size,
        "first_page_url": _url(url, size, 0, ""),
        "previous_page_url": None if previous is None else _url(url, size, max(0, number - 1), previous),
        "url": _url(url, size, number, token),
        "next_page_url": None if following is None else _url(url, size, number + 1, following),
        "key": name,
    }


def _whole(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise PagingError(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def _url(url: str, size: int, number: int, token: str) -> str:
    parameters = {"PageSize": size, "Page": number}
    return f"{url}?{urlencode({**parameters, 'PageToken': token} if token else parameters)}"


def _token(kind: str, value: str) -> str:
    return "PT" + base64.urlsafe_b64encode((kind + value).encode()).decode().rstrip("=")


def _place(token: str) -> str:
    """The token of the page that a token leads to; empty for the first page."""
    while token:
        kind, value = _read(token)
        if kind != _AGAIN:
            break
        token = value.partition(" ")[2]
    return token


def _read(token: str) -> tuple[str, str]:
    try:
        if not token.startswith("PT") or not token.isascii():
            raise ValueError
        text = base64.urlsafe_b64decode(token[2:] + "=" * (-len(token[2:]) % 4)).decode()
    except ValueError:
        raise PagingError("PageToken is not one that this API gave") from None
    kind, value = text[:1], text[1:]
    if kind not in (_AFTER, _BEFORE, _AT, _AGAIN) or (kind == _AT and not _WHOLE.fullmatch(value)):
        raise PagingError("PageToken is not one that this API gave")
    return kind, value
