"""
What a provider is written with, ours and others': the vocabulary of `core` and the HTTP client of `transport`.

Nothing is defined here. `docs/adding-a-provider.md` shows how the parts go together.
"""

from reconcile.core.address import Address
from reconcile.core.resource import (
    Alias,
    Desired,
    Edit,
    Entry,
    Mistake,
    Observed,
    Page,
    Patch,
    Reading,
    Status,
    Target,
    View,
)
from reconcile.core.resource_type import (
    Binding,
    Lifecycle,
    Membership,
    Named,
    OpenSecret,
    Provider,
    ResourceType,
    Use,
)
from reconcile.core.schema import Begins, Gap, Largest, Mark, Refers, Same, Stage, StrictModel, Together, Unwritten
from reconcile.core.staging import Staging
from reconcile.core.text import flaw_in_name
from reconcile.core.values import Attrs, FileRef, Ref, Secret, SecretRef
from reconcile.errors import (
    AccessDenied,
    ApiError,
    BadAnswer,
    Conflict,
    InvalidInput,
    NoAnswer,
    NotFound,
    NotSent,
    Problem,
)
from reconcile.transport import Answer, BasicAuth, BearerAuth, Client, Net, Piece, Terms, Upload, in_turns, pieces_of

__all__ = [
    "AccessDenied",
    "Address",
    "Alias",
    "Answer",
    "ApiError",
    "Attrs",
    "BadAnswer",
    "BasicAuth",
    "BearerAuth",
    "Begins",
    "Binding",
    "Client",
    "Conflict",
    "Desired",
    "Edit",
    "Entry",
    "FileRef",
    "Gap",
    "InvalidInput",
    "Largest",
    "Lifecycle",
    "Mark",
    "Membership",
    "Mistake",
    "Named",
    "Net",
    "NoAnswer",
    "NotFound",
    "NotSent",
    "Observed",
    "OpenSecret",
    "Page",
    "Patch",
    "Piece",
    "Problem",
    "Provider",
    "Reading",
    "Ref",
    "Refers",
    "ResourceType",
    "Same",
    "Secret",
    "SecretRef",
    "Stage",
    "Staging",
    "Status",
    "StrictModel",
    "Target",
    "Terms",
    "Together",
    "Unwritten",
    "Upload",
    "Use",
    "View",
    "flaw_in_name",
    "in_turns",
    "pieces_of",
]
