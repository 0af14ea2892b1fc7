"""
What takes a while: campaigns and the devices in them, and devices that come to register, on the simulated clock
(docs/apis/device_management.md, "Update campaigns").

A campaign goes draft → (awaiting_approval →) starting → active → stopping → stopped → archived. It is starting
and stopping for 10 s each. Its devices are those that match its filter when it becomes active; in a continuous
campaign, those that match later too. Each device takes its manifest when it next connects (`pending` →
`updated_connector_channel`), installs the image, and tells when it connects after that (`deployed`, with the
image's checksum, or `failed_connector_channel_update`). One that has the image already is deployed at once, and
counted as skipped. One that is not online stays pending.

A campaign whose start fails (`start_fails`) is a draft again, and `autostop_reason` says why.

A one-shot campaign with `autostop` stops when `autostop_success_percent` of its devices have succeeded, and when
none is pending any more; without, and a continuous one always, only when it is told to. Devices that have their
manifest finish even then. If no device matches, or the manifest was deleted, it stops with an `autostop_reason`.

A device that was made by a POST as `unenrolled` is registered when it first connects.

What is due stands in one heap and happens in its order; the heap is made from the records, and again whenever
a world was put in place.
"""

import heapq

from reconcile.simulator.clock import date, next_connection
from reconcile.simulator.device_management.directory import FILTERED, Directory, created
from reconcile.simulator.device_management.fields import Record, moment, touched
from reconcile.simulator.device_management.filters import of_text
from reconcile.simulator.device_management.resources import (
    CAMPAIGN,
    CAMPAIGNS,
    CONTINUOUS,
    DEPLOYMENT,
    DEPLOYMENTS,
    DEREGISTERED,
    DEVICE,
    DEVICES,
    MANIFESTS,
    REGISTERED,
    UNENROLLED,
    Phase,
)

STARTING_S = 10
STOPPING_S = 10

_PENDING = "pending"
_UPDATED = "updated_connector_channel"
_DEPLOYED = "deployed"
_FAILED = "failed_connector_channel_update"
_MANIFEST_REMOVED = "manifestremoved"
_GONE = "deregistered"
_UNFINISHED = (_PENDING, _UPDATED)
# The counts of the metrics.
_COUNTED = ("success", "failed", "skipped", "pending")
# What the statistics call them.
SUMMARIES = {"success": "success", "failed": "fail", "skipped": "skipped", "pending": "info"}


class PhaseError(Exception):
    """The campaign is in a phase that does not allow it."""


class Rollout(Directory):
    """
    A directory in which time passes. `now` in its methods is simulated seconds.

    Attributes:
        approval_s: how long somebody takes to approve a campaign that needs it; None is forever.
        start_fails: why no campaign can start; None where they can.
    """

    def __init__(self) -> None:
        super().__init__()
        self.approval_s: float | None = 60
        self.start_fails: str | None = None
        # (when, of what: a campaign, a device in a campaign, or a device: campaign id, device id)
        self._due: list[tuple[float, str, str]] = []
        self._since = 0.0
        # By campaign: how many devices are in each state of `metrics`.
        self._counts: dict[str, dict[str, int]] = {}

    def schedule(self, since: float, now: float) -> None:
        """
        Works out what is due from the records; continuous campaigns take up what matches now.

        Args:
            since: when the world was put in place; devices that are waited for connect after that, not before.
        """
        self._due = []
        self._since = since
        self._counts = {}
        for campaign, record in self.campaigns.by_key.items():
            counts = self.counts(campaign)
            for device, deployment in self.deployments[campaign].items():
                counts[_counted(deployment)] += 1
                self._expect_device(campaign, device, deployment)
            self._expect_campaign(campaign, record)
        for device, record in self.devices.by_key.items():
            self._expect_registration(device, record)
        for campaign in self._continuous():
            self.take_up(campaign, now)

    def settle(self, now: float) -> None:
        """Lets everything happen that is due by now, in its order."""
        while self._due and self._due[0][0] <= now:
            at, campaign, device = heapq.heappop(self._due)
            if not campaign:
                self._register(device, at)
            elif device:
                self._connect(campaign, device, at)
            else:
                self._move(campaign, at)

    def events(self, campaign: str) -> dict[str, dict[str, int]]:
        """How many devices of a campaign are in each state, by the summary (`success`, `fail`, …) that it counts to."""
        found: dict[str, dict[str, int]] = {name: {} for name in SUMMARIES.values()}
        for deployment in self.deployments[campaign].values():
            states = found[SUMMARIES[_counted(deployment)]]
            state = DEPLOYMENT.get(deployment, "deployment_state")
            states[state] = states.get(state, 0) + 1
        return found

    def counts(self, campaign: str) -> dict[str, int]:
        """How many devices of a campaign are in each state of its metrics."""
        return self._counts.setdefault(campaign, dict.fromkeys(_COUNTED, 0))

    # What clients ask for.

    def start(self, campaign: str, now: float) -> None:
        record = self._in(campaign, Phase.DRAFT)
        if self.start_fails is not None:
            self._write(campaign, {"autostop_reason": self.start_fails}, now)
            return
        self._write(campaign, {"autostop_reason": None}, now)
        if CAMPAIGN.get(record, "approval_required"):
            self._write(campaign, {"phase": Phase.AWAITING_APPROVAL, "requested_at": date(int(now))}, now)
        else:
            self._begin(campaign, now)
        self._expect_campaign(campaign, record)

    def stop(self, campaign: str, now: float, reason: str | None = None) -> None:
        record = self._in(campaign, Phase.AWAITING_APPROVAL, Phase.STARTING, Phase.ACTIVE)
        self._write(campaign, {"phase": Phase.STOPPING, "stopping_at": date(int(now)), "autostop_reason": reason}, now)
        self._expect_campaign(campaign, record)

    def archive(self, campaign: str, now: float) -> None:
        self._in(campaign, Phase.STOPPED)
        self._write(campaign, {"phase": Phase.ARCHIVED, "archived_at": date(int(now))}, now)

    def _in(self, campaign: str, *phases: str) -> Record:
        record = self.campaigns.by_key[campaign]
        phase = CAMPAIGN.get(record, "phase")
        if phase not in phases:
            raise PhaseError(f"The campaign is {phase}; this needs {' or '.join(phases)}")
        return record

    def device_written(self, device: str, record: Record, now: float) -> None:
        """To be called when a device is new or was changed: continuous campaigns may take it up."""
        self._expect_registration(device, record)
        for campaign in self._continuous():
            self.take_up(campaign, now, [device])

    def remove(self, section: str, id_: str, now: float) -> None:
        super().remove(section, id_, now)
        self._counts.pop(id_, None)
        for campaign, record in self.campaigns.by_key.items():
            if CAMPAIGN.get(record, "phase") != Phase.ACTIVE:
                continue
            if section == DEVICES and id_ in self.deployments[campaign]:
                self._become(campaign, id_, _GONE, now)
            elif section == MANIFESTS and CAMPAIGN.get(record, "root_manifest_id") == id_:
                self._stop_by_itself(campaign, now, "The manifest was removed")
                for device in self.deployments[campaign]:
                    self._become(campaign, device, _MANIFEST_REMOVED, now)

    # What happens by itself.

    def _write(self, campaign: str, fields: Record, at: float) -> None:
        self.write(CAMPAIGNS, campaign, fields, at)

    def _begin(self, campaign: str, at: float) -> None:
        when = date(int(at))
        self._write(campaign, {"phase": Phase.STARTING, "started_at": when, "starting_at": when}, at)

    def _expect_campaign(self, campaign: str, record: Record) -> None:
        phase = CAMPAIGN.get(record, "phase")
        if phase == Phase.AWAITING_APPROVAL and self.approval_s is not None:
            due = moment(record["requested_at"]) + self.approval_s
        elif phase == Phase.STARTING:
            due = moment(record["starting_at"]) + STARTING_S
        elif phase == Phase.STOPPING:
            due = moment(record["stopping_at"]) + STOPPING_S
        else:
            return
        heapq.heappush(self._due, (due, campaign, ""))

    def _continuous(self) -> list[str]:
        return [
            campaign
            for campaign, record in self.campaigns.by_key.items()
            if CAMPAIGN.get(record, "phase") == Phase.ACTIVE and CAMPAIGN.get(record, "campaign_strategy") == CONTINUOUS
        ]

    def _expect_registration(self, device: str, record: Record) -> None:
        if DEVICE.get(record, "state") == UNENROLLED and DEVICE.get(record, "online"):
            heapq.heappush(self._due, (self._connection(record, moment(record["created_at"])), "", device))

    def _expect_device(self, campaign: str, device: str, deployment: Record) -> None:
        record = self.devices.by_key.get(device)
        if record is None or DEPLOYMENT.get(deployment, "deployment_state") not in _UNFINISHED:
            return
        if DEVICE.get(record, "online") and DEVICE.get(record, "state") != DEREGISTERED:
            due = self._connection(record, moment(deployment["updated_at"]))
            heapq.heappush(self._due, (due, campaign, device))

    def _connection(self, device: Record, start: float) -> float:
        return next_connection(int(start), DEVICE.get(device, "check_in_s"), self._since)

    def _register(self, device: str, at: float) -> None:
        record = self.devices.by_key.get(device)
        if record is not None and DEVICE.get(record, "state") == UNENROLLED:
            self.write(DEVICES, device, {"state": REGISTERED, "bootstrapped_timestamp": date(int(at))}, at)

    def _move(self, campaign: str, at: float) -> None:
        """Takes a campaign to its next phase, unless a client has taken it elsewhere meanwhile."""
        record = self.campaigns.by_key.get(campaign)
        if record is None:
            return
        phase = CAMPAIGN.get(record, "phase")
        if phase == Phase.AWAITING_APPROVAL:
            self._begin(campaign, at)
            self._expect_campaign(campaign, record)
        elif phase == Phase.STARTING:
            self._activate(campaign, record, at)
        elif phase == Phase.STOPPING and moment(record["stopping_at"]) + STOPPING_S <= at:
            when = date(int(at))
            self._write(campaign, {"phase": Phase.STOPPED, "stopped_at": when, "finished": when}, at)

    def _activate(self, campaign: str, record: Record, at: float) -> None:
        self._write(campaign, {"phase": Phase.ACTIVE, "active_at": date(int(at))}, at)
        self.take_up(campaign, at)
        if CAMPAIGN.get(record, "root_manifest_id") not in self.manifests.by_key:
            self._stop_by_itself(campaign, at, "The manifest was removed")
        elif not self.deployments[campaign] and CAMPAIGN.get(record, "campaign_strategy") != CONTINUOUS:
            self._stop_by_itself(campaign, at, "No device matches the device filter")

    def take_up(self, campaign: str, at: float, devices: list[str] | None = None) -> None:
        """Puts the devices that match its filter, of these or of all, into a campaign."""
        held = self.deployments[campaign]
        text = CAMPAIGN.get(self.campaigns.by_key[campaign], "device_filter")
        conditions = of_text(text, FILTERED[DEVICES], "device_filter")
        for device in self.candidates(DEVICES, conditions) if devices is None else devices:
            if device not in held and self.matches(DEVICES, device, conditions):
                deployment = held[device] = created(at)
                self.counts(campaign)["pending"] += 1
                self.mark(DEPLOYMENTS, f"{campaign}/{device}")
                self._expect_device(campaign, device, deployment)

    def _connect(self, campaign: str, device: str, at: float) -> None:
        """A device in a campaign connects: takes its manifest, or tells how the installation went."""
        deployment = self.deployments.get(campaign, {}).get(device)
        record = self.devices.by_key.get(device)
        if deployment is None:
            return
        campaign_record = self.campaigns.by_key[campaign]
        state = DEPLOYMENT.get(deployment, "deployment_state")
        if record is None:
            self._become(campaign, device, _GONE, at)
            return
        manifest = self.manifests.by_key.get(CAMPAIGN.get(campaign_record, "root_manifest_id") or "", {})
        image = self.images.by_key.get(manifest.get("image_id") or "", {})
        checksum = image.get("datafile_checksum")
        if state == _PENDING and CAMPAIGN.get(campaign_record, "phase") == Phase.ACTIVE:
            if checksum is not None and checksum == DEVICE.get(record, "firmware_checksum"):
                self._become(campaign, device, _DEPLOYED, at, skipped=True)
            else:
                self._become(campaign, device, _UPDATED, at)
                self._expect_device(campaign, device, deployment)
        elif state == _UPDATED:
            if checksum is None or DEVICE.get(record, "fail_update"):
                self._become(campaign, device, _FAILED, at)
            else:
                fields = {"firmware_checksum": checksum, "manifest_timestamp": manifest.get("timestamp")}
                self.write(DEVICES, device, fields, at)
                self._become(campaign, device, _DEPLOYED, at)

    def _become(self, campaign: str, device: str, state: str, at: float, skipped: bool = False) -> None:
        """Sets the state of a device in a campaign, unless it has a last one already; may end the campaign."""
        deployment = self.deployments[campaign][device]
        if DEPLOYMENT.get(deployment, "deployment_state") not in _UNFINISHED:
            return
        counts = self.counts(campaign)
        counts[_counted(deployment)] -= 1
        deployment.update(touched(deployment, at), deployment_state=state, skipped=skipped)
        counts[_counted(deployment)] += 1
        self.mark(DEPLOYMENTS, f"{campaign}/{device}")
        record = self.campaigns.by_key[campaign]
        if CAMPAIGN.get(record, "campaign_strategy") == CONTINUOUS or not CAMPAIGN.get(record, "autostop"):
            return
        wanted = CAMPAIGN.get(record, "autostop_success_percent") / 100 * sum(counts.values())
        if counts["success"] + counts["skipped"] >= wanted:
            self._stop_by_itself(campaign, at, "The wanted share of devices succeeded")
        elif counts["pending"] == 0:
            self._stop_by_itself(campaign, at, "No device is pending any more")

    def _stop_by_itself(self, campaign: str, at: float, reason: str) -> None:
        if CAMPAIGN.get(self.campaigns.by_key[campaign], "phase") == Phase.ACTIVE:
            self.stop(campaign, at, reason)


def _counted(deployment: Record) -> str:
    """What a device in a campaign counts as in its metrics."""
    state = DEPLOYMENT.get(deployment, "deployment_state")
    if state in _UNFINISHED:
        return "pending"
    if state == _DEPLOYED:
        return "skipped" if DEPLOYMENT.get(deployment, "skipped") else "success"
    return "failed"
