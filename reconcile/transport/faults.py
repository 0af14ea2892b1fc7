"""
How an attempt fails below the client, in the only distinction that matters: was anything sent? These never leave the
package; `Client` turns them into the errors of `reconcile.errors`. Their text names no URL, header or body.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl


class NeverSent(Exception):
    """
    Not one byte of the request left.

    Attributes:
        lasting: another attempt would end the same (a certificate that is not trusted).
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


class Lost(Exception):
    """
    Something left, and no whole answer came: the work may have been done.

    Attributes:
        slow: it was the time that ran out, a sign of an API that is overloaded.
    """

    def __init__(self, reason: str, *, slow: bool = False) -> None:
        super().__init__(reason)
        self.slow = slow


class Malformed(Exception):
    """An answer came and is not HTTP, not JSON, or larger than anything the API gives."""


_REFUSED = f"[Errno {errno.ECONNREFUSED}]"  # of several addresses asyncio tells all in one text
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)  # OpenSSL's X509_V_ERR_…: nobody who is trusted signed it


def why_not_connected(error: OSError, through: str = "", authorities: str = "") -> NeverSent:
    """
    The reason why no connection came about, in words that hold nothing of the request.

    Args:
        through: the proxy that was being asked, with a colon; else empty.
        authorities: who vouches for certificates, in words.
    """
    match error:
        case ssl.SSLCertVerificationError():
            said = f"its certificate is not trusted: {error.verify_message}"
            if error.verify_code in _UNKNOWN_AUTHORITY and authorities:
                said += f" (the authorities are {authorities}; --ca-file FILE adds others)"
            return NeverSent(said, lasting=True)
        case ssl.SSLError():
            return NeverSent(f"TLS failed: {(error.reason or 'no reason given').lower().replace('_', ' ')}")
        case socket.gaierror():
            return NeverSent(f"{through}its name does not resolve")
        case _ if error.errno == errno.ECONNREFUSED or (not error.errno and _REFUSED in str(error)):
            return NeverSent(f"{through}connection refused")
        case _ if error.errno:
            return NeverSent(f"{through}{os.strerror(error.errno).lower()}")
    return NeverSent(f"{through}no connection came about")
