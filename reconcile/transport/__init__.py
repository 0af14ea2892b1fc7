"""
HTTP to the vendors' APIs: who may be asked, with which credentials, how often, and what the answers mean.

In go method, path segments, parameters and a body with secrets in it; out come `Answer` or one of `reconcile.errors`.
`Net` is the network of one command, `Client` one API. Importing this imports no HTTP library.
"""

from reconcile.transport.body import pieces_of
from reconcile.transport.client import Client
from reconcile.transport.exchange import (
    Answer,
    Auth,
    BasicAuth,
    BearerAuth,
    Connector,
    Piece,
    RequestDone,
    RequestRepeated,
    Terms,
    Told,
    Upload,
)
from reconcile.transport.hosts import LOOPBACK, Base, allow_list, check_host, is_loopback
from reconcile.transport.listing import in_turns
from reconcile.transport.net import Net
from reconcile.transport.retry import Policy
from reconcile.transport.ways import Ways, ways_of

__all__ = [
    "LOOPBACK",
    "Answer",
    "Auth",
    "Base",
    "BasicAuth",
    "BearerAuth",
    "Client",
    "Connector",
    "Net",
    "Piece",
    "Policy",
    "RequestDone",
    "RequestRepeated",
    "Terms",
    "Told",
    "Upload",
    "Ways",
    "allow_list",
    "check_host",
    "in_turns",
    "is_loopback",
    "pieces_of",
    "ways_of",
]
