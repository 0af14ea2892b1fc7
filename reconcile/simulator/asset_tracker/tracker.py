"""
A tracker and its agent: what is staged, what the tracker has reported, and what happens when it connects.

Nothing runs in the background. Connections matter only while there is something to fetch or to report, so a
tracker that waits for one knows when the next is, and `settle` lets it happen in O(1), however much time has
passed.
"""

from dataclasses import dataclass
from typing import Any

from reconcile.simulator.asset_tracker.defaults import DEFAULT, DEFAULT_LOG_LEVEL
from reconcile.simulator.asset_tracker.floats import stored
from reconcile.simulator.asset_tracker.settings import PUBLISHED, SCHEMES, Scheme
from reconcile.simulator.clock import LATEST

Configuration = dict[str, Any]

# docs/apis/asset_tracker.md, "Sets".
_SETS = ("generic", "iBeacon")


@dataclass(slots=True)
class Tracker:
    """
    One unit with its agent. Configurations are shared between trackers and never changed in place.

    Attributes:
        reported: the configuration that the tracker has last reported, `simUpdate` inside; None: it never has.
        pending: the one staged update, in the agent's memory only, `simUpdate` inside.
        cfg_timestamp: when the tracker last applied an update or restarted (docs/apis/asset_tracker.md, "Applied").
        published: the agent is the application as it was published, where that differs from the Reference.
        fail_apply: the tracker fetches updates and cannot apply them: always, or as many times as are left.
        fallback: the tracker cannot start on what it has saved, and begins anew on the default, once.
        next_connection: in simulated seconds; None while nothing would happen then.
    """

    agent: str
    username: str
    password: str
    tracker_id: str
    scheme: str = "1.1"
    published: bool = False
    online: bool = True
    reported: Configuration | None = None
    pending: Configuration | None = None
    cfg_timestamp: int | None = None
    agent_log_level: str = DEFAULT_LOG_LEVEL
    fail_apply: bool | int = False
    fallback: bool = False
    next_connection: float | None = None

    @property
    def rules(self) -> Scheme:
        """The scheme, as its agent has it."""
        return (PUBLISHED if self.published else SCHEMES)[self.scheme]

    @property
    def update_id(self) -> str | None:
        """The id of the last update that is known to be applied."""
        return None if self.reported is None else self.reported["updateId"]

    def schedule(self, now: float) -> None:
        """
        Sees to it that a next connection is planned exactly while it would do something.

        Its period is counted from the moment at which there first is something to do, so a test that stages an
        update sees it pending for a whole period; another update meanwhile does not put the connection off.
        """
        if not self.online or not (self.pending is not None or self.reported is None or self.fallback):
            self.next_connection = None
        elif self.next_connection is None:
            period = (self.reported or DEFAULT)["connectingPeriod"]
            self.next_connection = min(now + max(0, period), LATEST - 1)

    def stage(self, update: Configuration, now: float) -> None:
        """
        Puts an update into the one slot; what was there is lost (docs/apis/asset_tracker.md, "One pending update").
        """
        self.pending = update
        self.schedule(now)

    def settle(self, now: float) -> None:
        """Lets everything happen that was due by `now`."""
        at = self.next_connection
        if at is not None and at <= now:
            self._connect(int(at))
            self.next_connection = None

    def _connect(self, at: int) -> None:
        if self.reported is None or self.fallback:
            self.reported = DEFAULT
            self.cfg_timestamp = at
            self.fallback = False
        update, self.pending = self.pending, None
        if update is None or update["updateId"] == self.update_id:
            return
        # Applied or not: what cannot be applied restarts the tracker, and every start renews the timestamp.
        self.cfg_timestamp = at
        if not _throws(self.reported, update) and not self._fails():
            self.reported = applied(self.reported, update, self.rules)

    def _fails(self) -> bool:
        if not self.fail_apply:
            return False
        if self.fail_apply is not True:
            self.fail_apply = self.fail_apply - 1 or False
        return True


def _throws(configuration: Configuration, update: Configuration) -> bool:
    """
    Whether the tracker throws while it applies an update, and restarts without it.

    docs/apis/asset_tracker.md, "Sets": of an update with one of the two sets its driver forgets the other, and reading
    locations, which it does at once where they are always read and their settings change, looks at both.
    """
    tracking, known = update.get("locationTracking", {}), configuration["locationTracking"]
    ble = tracking.get("bleDevices", {})
    looked_for = ble.get("enabled", known["bleDevices"]["enabled"])
    read_now = tracking.get("alwaysOn", known["alwaysOn"]) and not tracking.keys().isdisjoint(
        ("locReadingPeriod", "alwaysOn")
    )
    return bool(sum(name in ble for name in _SETS) == 1 and looked_for and read_now)


def applied(configuration: Configuration, update: Configuration, scheme: Scheme) -> Configuration:
    """The configuration with an update applied, in single precision."""
    return merged(configuration, stored(update), _SETS if scheme.sets_are_replaced else ())


def merged(base: Configuration, update: Configuration, replaced: tuple[str, ...] = ()) -> Configuration:
    """
    `base` with the fields of `update`, object by object; those named in `replaced` as a whole.

    Shares with `base` what is the same, so that a hundred thousand trackers that differ in little need little.
    """
    result = dict(base)
    for key, value in update.items():
        known = base.get(key)
        if isinstance(value, dict) and isinstance(known, dict) and key not in replaced:
            value = merged(known, value, replaced)
        result[key] = value
    return base if result == base else result
