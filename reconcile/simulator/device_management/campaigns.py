"""
Update campaigns: `/v3/update-campaigns` (docs/apis/device_management.md, "Update campaigns"); what happens to one as
time passes is in `rollout`.

docs/apis/device_management.md, "What is not documented": a campaign starts from a draft with a manifest, is stopped
while it waits, starts or runs, archived when it is stopped, and deleted as a draft, stopped or archived: anything else
is a 409. A `device_filter` is checked when it is written, and so is the manifest.
"""

from collections.abc import Callable
from typing import Any

from reconcile.simulator.device_management import filters
from reconcile.simulator.device_management.directory import FILTERED, datafile, deployment_id
from reconcile.simulator.device_management.entities import Entities
from reconcile.simulator.device_management.fields import Record
from reconcile.simulator.device_management.listing import limit, listing
from reconcile.simulator.device_management.refusal import Invalid, Refused, methods, not_found, unrecognized
from reconcile.simulator.device_management.resources import CAMPAIGN, CAMPAIGNS, DEPLOYMENT, DEVICES, Phase
from reconcile.simulator.device_management.rollout import PhaseError
from reconcile.simulator.exchange import Call, Reply, json_answer

_WORDS = ("name", "description")  # what can be changed of a campaign that is no draft

# The first is the example of the vendor's description; the others have codes of our own.
_EVENTS = {
    "failed_connector_channel_update": ("UPD4_FAIL_101", "Update error, nonspecific network error"),
    "manifestremoved": ("SIM_FAIL_1", "The manifest was removed"),
    "deregistered": ("SIM_FAIL_2", "The device was deregistered"),
}


def _whole(request: Call, members: list[dict[str, Any]]) -> Reply:
    """A list of which there is one page, whatever is asked for."""
    page = {"object": "list", "limit": limit(request), "after": None, "order": "ASC", "has_more": False}
    return json_answer(200, {**page, "total_count": len(members), "data": members})


class Campaigns(Entities):
    kind = CAMPAIGNS
    title = "Update campaign"
    deep = True

    def view(self, id_: str) -> dict[str, Any]:
        view = super().view(id_)
        manifest = view["root_manifest_id"]
        return {**view, "root_manifest_url": None if manifest is None else datafile(manifest)}

    def delete(self, id_: str) -> Reply:
        if self._phase(id_) not in (Phase.DRAFT, Phase.STOPPED, Phase.ARCHIVED):
            raise Refused(409, f"The campaign is {self._phase(id_)}; it must be stopped before it is deleted")
        return super().delete(id_)

    def _phase(self, id_: str) -> str:
        return str(CAMPAIGN.get(self.by_id[id_], "phase"))

    def checked(self, id_: str | None) -> Record:
        sent = super().checked(id_)
        if id_ is not None and self._phase(id_) != Phase.DRAFT:
            now = self.by_id[id_]
            if fixed := [name for name in sent if name not in _WORDS and sent[name] != CAMPAIGN.get(now, name)]:
                said = f"The campaign is {self._phase(id_)}: fields apart from name and description cannot be modified"
                raise Refused(403, f"{said} ({', '.join(fixed)})", "access_restricted")
        if "device_filter" in sent:
            filters.of_text(sent["device_filter"], FILTERED[DEVICES], "device_filter")
        if sent.get("root_manifest_id") is not None and sent["root_manifest_id"] not in self.directory.manifests.by_key:
            raise Invalid([("root_manifest_id", "is not the id of a firmware manifest")])
        return sent

    def below(self, id_: str, rest: list[str]) -> Reply:
        match rest:
            case ["start"]:
                return methods(self.request, POST=lambda: self._start(id_))
            case ["stop"]:
                return methods(self.request, POST=lambda: self._move(id_, self.directory.stop))
            case ["archive"]:
                return methods(self.request, POST=lambda: self._move(id_, self.directory.archive))
            case ["metrics"]:
                return methods(self.request, GET=lambda: self._metrics(id_))
            case ["statistics", *of]:
                return methods(self.request, GET=lambda: self._statistics(id_, of))
            case ["campaign-device-metadata"]:
                return methods(self.request, GET=lambda: self._deployments(id_))
        raise unrecognized(self.request)

    def _start(self, id_: str) -> Reply:
        manifest = CAMPAIGN.get(self.by_id[id_], "root_manifest_id")
        if self._phase(id_) == Phase.DRAFT and manifest not in self.directory.manifests.by_key:
            raise Invalid([("root_manifest_id", "a campaign without a firmware manifest cannot start")])
        return self._move(id_, self.directory.start)

    def _move(self, id_: str, move: Callable[[str, float], None]) -> Reply:
        try:
            move(id_, self.request.now)
        except PhaseError as e:
            raise Refused(409, str(e)) from None
        return Reply(202)

    def _metrics(self, id_: str) -> Reply:
        started = CAMPAIGN.get(self.by_id[id_], "started_at")
        if started is None:
            raise Refused(404, "The campaign has not started: there are no metrics")
        counts = self.directory.counts(id_)
        return json_answer(
            200,
            {
                "object": "update-campaign-metrics",
                "created_at": started,
                "total_count": sum(counts.values()),
                **{f"{state}_count": count for state, count in counts.items()},
            },
        )

    def _statistics(self, id_: str, of: list[str]) -> Reply:
        """`statistics`, `statistics/{summary}`, and below that `event_types` and `event_types/{id}`."""
        events = self.directory.events(id_)
        common = {"campaign_id": id_, "created_at": CAMPAIGN.get(self.by_id[id_], "created_at")}

        def summary(name: str) -> dict[str, Any]:
            count = sum(events[name].values())
            return {
                "object": "update-campaign-statistics",
                "id": name,
                **common,
                "summary_status": name.upper(),
                "count": count,
            }

        def event(name: str, state: str) -> dict[str, Any]:
            code, said = _EVENTS.get(state, (state, state))
            of_it = {"id": code.lower(), "event_type": code, "description": said, "count": events[name][state]}
            status = {"summary_status_id": name, "summary_status": name.upper()}
            return {"object": "update-campaign-event-type", **common, **status, **of_it}

        match of:
            case []:
                return _whole(self.request, [summary(name) for name in events])
            case [name, *below] if name in events:
                types = [event(name, state) for state in sorted(events[name])]
                match below:
                    case []:
                        return json_answer(200, summary(name))
                    case ["event_types"]:
                        return _whole(self.request, types)
                    case ["event_types", code]:
                        for found in types:
                            if found["id"] == code:
                                return json_answer(200, found)
        raise not_found("Statistics", "/".join(of))

    def _deployments(self, id_: str) -> Reply:
        """The devices of a campaign; there are none before it is active."""
        # No field of them can be filtered.
        filters.of_query(self.request.query, {})
        held = {deployment_id(id_, device): device for device in self.directory.deployments[id_]}
        return listing(self.request, sorted(held), None, lambda key: self._deployment_view(id_, held[key], key))

    def _deployment_view(self, id_: str, device: str, key: str) -> dict[str, Any]:
        return {
            **DEPLOYMENT.view(key, self.directory.deployments[id_][device]),
            "campaign": id_,
            "device_id": device,
            "name": "",
            "description": "",
            "mechanism": "connector",
            "mechanism_url": None,
        }
