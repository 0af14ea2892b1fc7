"""
How an attempt fails below the client, in the only distinction that matters: was anything sent? These never leave the
package; `Client` turns them into the errors of `reconcile.errors`. Their text names no URL, header or body.
"""

from __future__ import annotations

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


def why_not_connected(error: OSError) -> NeverSent:
    """The reason why no connection came about, in words that hold nothing of the request."""
    match error:
        case ssl.SSLCertVerificationError():
            return NeverSent(f"its certificate is not trusted: {error.verify_message}", lasting=True)
        case ssl.SSLError():
            return NeverSent(f"TLS failed: {(error.reason or 'no reason given').lower().replace('_', ' ')}")
        case ConnectionRefusedError():
            return NeverSent("connection refused")
        case socket.gaierror():
            return NeverSent("its name does not resolve")
        case _ if error.errno:
            return NeverSent(os.strerror(error.errno).lower())
    return NeverSent("no connection came about")
