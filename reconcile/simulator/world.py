"""
The whole world of a simulator: one account's credentials, its clock, and a section per API.

`parse` takes the JSON of `PUT /_sim/state`, `World.dump` answers that of `GET`: complete, in the order of
keys, and such that putting it back changes nothing. `tracker_username` and `tracker_password` are
those of trackers that name none.
"""

import base64
import hashlib
import re
from typing import Any

from reconcile.simulator import shape
from reconcile.simulator.asset_tracker import trackers
from reconcile.simulator.asset_tracker.trackers import Trackers, agent_id
from reconcile.simulator.clock import LATEST, Clock, date
from reconcile.simulator.device_management import section as device_management
from reconcile.simulator.device_management.directory import Directory
from reconcile.simulator.microvisor import account
from reconcile.simulator.microvisor.account import Account
from reconcile.simulator.microvisor.hardware import Device
from reconcile.simulator.shape import ShapeError

ACCOUNT_SID = re.compile("AC[0-9a-fA-F]{32}")
MAX_FLEET = 1_000_000

# What clients need to know; the names are attributes of worlds and of `Credentials` as well.
CREDENTIALS = ("account_sid", "auth_token", "api_key", "tracker_username", "tracker_password")

_KEYS = (
    "now",
    *CREDENTIALS,
    "microvisor",
    "trackers",
    "device_management",
)


class Credentials:
    """What a world has when it names none: made from a seed, so the same for every run with that seed."""

    def __init__(self, seed: int) -> None:
        self.account_sid = "AC" + digest(seed, "account")[:32]
        self.auth_token = digest(seed, "token")[:32]
        self.api_key = "ak_" + digest(seed, "key")
        self.tracker_username = "fleet"
        self.tracker_password = digest(seed, "trackers")[:16]


def digest(seed: int, what: str) -> str:
    """64 hex digits that depend on nothing but the arguments."""
    return hashlib.sha256(f"{seed}:{what}".encode()).hexdigest()


class World:
    """
    Everything that is simulated.

    Attributes:
        since: when this world was put in place, in simulated seconds.
        changed: (kind, id) of what was written since the world was last saved; see `database`.
        basic: `Authorization` values that the account's APIs accept as they stand.
    """

    def __init__(self, clock: Clock, credentials: Credentials) -> None:
        self.clock = clock
        self.since = clock.now()
        self.account_sid = credentials.account_sid
        self.auth_token = credentials.auth_token
        self.api_key = credentials.api_key
        self.tracker_username = credentials.tracker_username
        self.tracker_password = credentials.tracker_password
        self.microvisor = Account()
        self.trackers = Trackers()
        self.changed: set[tuple[str, str]] = set()
        self.device_management = Directory()
        self.basic: frozenset[str] = frozenset()

    def accept_credentials(self) -> None:
        """To be called when credentials have changed."""
        pairs = {self.account_sid: self.auth_token, **self.microvisor.api_keys}
        self.basic = frozenset(
            "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() for user, password in pairs.items()
        )

    def settle(self) -> int:
        """Everything due happens; answers the time at which that is true."""
        now = self.clock.now()
        self.microvisor.settle(now, self.since)
        self.trackers.settle(now)
        self.device_management.settle(now)
        return int(now)

    def credentials(self) -> dict[str, str]:
        """What clients need to know."""
        return {key: getattr(self, key) for key in CREDENTIALS}

    def dump(self) -> dict[str, Any]:
        """The world as JSON, secret values included."""
        now = self.settle()
        return {
            "now": date(now),
            **self.credentials(),
            "microvisor": account.dump(self.microvisor),
            "trackers": trackers.dump(self.trackers),
            "device_management": device_management.dump(self.device_management),
        }

    def advance(self, seconds: float) -> str:
        """
        Moves the clock; everything due has happened when it answers the new date.

        Raises:
            ShapeError: beyond the year 9998.
        """
        if self.clock.now() + seconds >= LATEST:
            raise ShapeError(("advance_s",), "leads beyond the year 9998")
        self.clock.advance(seconds)
        self.changed.add(("world", ""))
        return date(self.settle())

    def add_fleet(self, devices: int, trackers: int, seed: int) -> dict[str, list[str]]:
        """
        Adds units as from the factory. Ids depend on the seed; those that exist are passed over, so that a
        second call with the same seed adds the next ones.
        """
        exact = self.clock.now()
        now = int(exact)
        sids = _free(devices, self.microvisor.devices.by_key, lambda n: "UV" + digest(seed, f"device:{n}")[:32])
        self.microvisor.add_devices(Device(sid, now, now) for sid in sids)
        agents = _free(trackers, self.trackers.by_agent, lambda n: agent_id(digest(seed, f"tracker:{n}")))
        self.trackers.add_fleet(agents, self.tracker_username, self.tracker_password, exact)
        self.changed.update(("device", sid) for sid in sids)
        self.changed.update(("tracker", agent) for agent in agents)
        return {"devices": sids, "trackers": agents}


def _free(count: int, taken: dict[str, Any], name: Any) -> list[str]:
    found: list[str] = []
    n = 0
    while len(found) < count:
        candidate = name(n)
        if candidate not in taken:
            found.append(candidate)
        n += 1
    return found


def parse(value: Any, credentials: Credentials, clock: Clock) -> World:
    """
    The world that a JSON value describes.

    Args:
        credentials: what is used where it names none.
        clock: goes on as the world's when `now` lies within its current second, so that putting back what was just
            answered does not turn it back by a fraction. Without `now`, the wall clock.

    Raises:
        ShapeError: the first value that has the wrong shape.
    """
    document = shape.mapping(value, (), _KEYS)
    moved = Clock()
    if "now" in document:
        now = shape.date(document["now"], ("now",))
        if now == int(clock.now()):
            moved = clock
        else:
            moved.set(now)
    world = World(moved, credentials)
    if "account_sid" in document:
        world.account_sid = shape.matching(document["account_sid"], ("account_sid",), ACCOUNT_SID)
    for key in CREDENTIALS[1:]:
        if key in document:
            secret = shape.text(document[key], (key,))
            if not secret:
                raise ShapeError((key,), "must not be empty")
            setattr(world, key, secret)
    world.microvisor = account.parse(document.get("microvisor", {}), ("microvisor",), int(world.clock.now()))
    world.trackers = trackers.parse(
        document.get("trackers", {}),
        ("trackers",),
        world.tracker_username,
        world.tracker_password,
        world.clock.now(),
    )
    world.device_management = device_management.parse(
        document.get("device_management", {}), ("device_management",), world.clock.now(), world.account_sid
    )
    world.device_management.changed = world.changed
    world.accept_credentials()
    world.settle()
    return world


def world_for(units: dict[str, Any]) -> dict[str, Any]:
    """
    An otherwise empty world with exactly these units, as from the factory: no name, no app, no settings.

    Args:
        units: `{"microvisor": {"devices": [{"sid", "unique_name"}], "account_sid"}, "asset_tracker": {"trackers":
            [{"agent"}]}, "device_management": {"devices": [{"id", "endpoint_name", "name"}]}}`. A device given by
            its id has that id and no name yet; one known by its name alone has that name and an id made from it.

    Raises:
        ShapeError: units of another shape.
    """
    section = shape.mapping(shape.mapping(units, ()).get("microvisor", {}), ("microvisor",))
    devices: dict[str, dict[str, Any]] = {}
    for n, unit in enumerate(shape.array(section.get("devices", []), ("microvisor", "devices"))):
        at = ("microvisor", "devices", n)
        sid, name = shape.mapping(unit, at).get("sid"), unit.get("unique_name")
        if sid is not None:
            devices.setdefault(shape.matching(sid, (*at, "sid"), account.DEVICE_SID), {})
        elif name is not None:
            name = shape.text(name, (*at, "unique_name"))
            devices["UV" + digest(0, f"named:{name}")[:32]] = {"unique_name": name}
        else:
            raise ShapeError(at, "needs a sid or a unique_name")
    agents: dict[str, dict[str, Any]] = {}
    tracked = shape.mapping(units.get("asset_tracker", {}), ("asset_tracker",))
    for n, unit in enumerate(shape.array(tracked.get("trackers", []), ("asset_tracker", "trackers"))):
        at = ("asset_tracker", "trackers", n)
        agents[shape.text(shape.mapping(unit, at).get("agent"), (*at, "agent"))] = {}
    world: dict[str, Any] = {"microvisor": {"devices": devices}}
    if agents:
        world["trackers"] = agents
    managed = shape.mapping(units.get("device_management", {}), ("device_management",)).get("devices", [])
    if managed:
        world["device_management"] = {"devices": device_management.units(managed, ("device_management", "devices"))}
    if section.get("account_sid") is not None:
        world["account_sid"] = shape.matching(section["account_sid"], ("microvisor", "account_sid"), ACCOUNT_SID)
    return world
