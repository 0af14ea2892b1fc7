"""
What the kinds of entities have in common in the API: a list that filters let through, one entity by its id, and its
end. A kind says how it is made and changed, and what is below it.
"""

from typing import Any

from reconcile.simulator.device_management import filters
from reconcile.simulator.device_management.body import accepted
from reconcile.simulator.device_management.directory import FILTERED, created
from reconcile.simulator.device_management.fields import Record
from reconcile.simulator.device_management.listing import listing
from reconcile.simulator.device_management.refusal import methods, not_found, unrecognized
from reconcile.simulator.device_management.resources import RESOURCES
from reconcile.simulator.device_management.rollout import Rollout
from reconcile.simulator.exchange import Call, Reply, json_answer


class Entities:
    """
    The entities of one kind, for one request.

    Attributes:
        kind: their section of the world.
        title: what errors call one.
        mutable: whether one can be changed.
        deep: whether there are paths below one.
    """

    kind: str
    title: str
    mutable = True
    deep = False

    def __init__(self, request: Call, directory: Rollout) -> None:
        self.request = request
        self.directory = directory
        self.resource = RESOURCES[self.kind]
        self.by_id = directory.collections[self.kind].by_key

    def answer(self, rest: list[str]) -> Reply:
        """
        Args:
            rest: the path behind the collection's.
        """
        if not rest:
            return methods(self.request, GET=self.listing, POST=self.create)
        id_, *below = rest
        if below and not self.deep:
            raise unrecognized(self.request)
        if id_ not in self.by_id:
            raise not_found(self.title, id_)
        if below:
            return self.below(id_, below)
        update = {"PUT": lambda: self.update(id_)} if self.mutable else {}
        return methods(self.request, GET=lambda: self.read(id_), DELETE=lambda: self.delete(id_), **update)

    def listing(self, members: set[str] | None = None) -> Reply:
        """Those that the filters let through; with `members`, of these only."""
        conditions = filters.of_query(self.request.query, FILTERED[self.kind])
        keys = self.directory.candidates(self.kind, conditions)
        if members is not None:
            keys = sorted(members) if len(members) < len(keys) else [key for key in keys if key in members]
        matches = (lambda id_: self.directory.matches(self.kind, id_, conditions)) if conditions else None
        return listing(self.request, keys, matches, self.view)

    def view(self, id_: str) -> dict[str, Any]:
        return self.resource.view(id_, self.by_id[id_])

    def read(self, id_: str) -> Reply:
        return json_answer(200, self.view(id_))

    def create(self) -> Reply:
        sent = self.checked(None)
        return self.add(self.directory.new_id(self.request.now), sent)

    def add(self, id_: str, record: Record) -> Reply:
        """Adds one that a POST has made."""
        self.directory.add(self.kind, id_, {**record, **created(self.request.now)})
        return json_answer(201, self.view(id_))

    def checked(self, id_: str | None) -> Record:
        """The fields that a body sets; `id_` is None for one that is made."""
        return accepted(self.request, self.resource, creating=id_ is None)

    def update(self, id_: str) -> Reply:
        sent = self.checked(id_)
        if sent:
            self.directory.write(self.kind, id_, sent, self.request.now)
        return self.read(id_)

    def delete(self, id_: str) -> Reply:
        self.directory.remove(self.kind, id_, self.request.now)
        return Reply(204)

    def below(self, id_: str, rest: list[str]) -> Reply:
        """Answers on a path below one that is there."""
        raise unrecognized(self.request)
