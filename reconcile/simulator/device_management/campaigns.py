"""
Update campaigns: `/v3/update-campaigns` (contract: update campaign); what happens to one as time passes is in
`rollout`.

Where the contract is silent: a PUT to a campaign that is no draft is a 403; one starts from a draft with a manifest,
is stopped while it waits, starts or runs, archived when it is stopped, and deleted as a draft, stopped or archived:
anything else is a 409. A `device_filter` is checked when it is written, and so is the manifest.
"""

from collections.abc import Callable
from typing import Any

from reconcile.simulator.device_management import filters
from reconcile.simulator.device_management.body import accepted
from reconcile.simulator.device_management.directory import FILTERED, created, datafile, deployment_id
from reconcile.simulator.device_management.fields import Record
from reconcile.simulator.device_management.listing import listing
from reconcile.simulator.device_management.refusal import Invalid, Refused, methods, not_found, unrecognized
from reconcile.simulator.device_management.resources import (
    ARCHIVED,
    CAMPAIGN,
    CAMPAIGNS,
    DEPLOYMENT,
    DEVICES,
    DRAFT,
    STOPPED,
)
from reconcile.simulator.device_management.rollout import PhaseError, Rollout
from reconcile.simulator.exchange import Answer, Request, json_answer


def answer_campaigns(request: Request, directory: Rollout, rest: list[str]) -> Answer:
    if not rest:
        return methods(request, GET=lambda: _listing(request, directory), POST=lambda: _create(request, directory))
    id_ = rest[0]
    if id_ not in directory.campaigns.by_key:
        raise not_found("Update campaign", id_)
    match rest[1:]:
        case []:
            return methods(
                request,
                GET=lambda: json_answer(200, _view(directory, id_)),
                PUT=lambda: _update(request, directory, id_),
                DELETE=lambda: _delete(request, directory, id_),
            )
        case ["start"]:
            return methods(request, POST=lambda: _start(request, directory, id_))
        case ["stop"]:
            return methods(request, POST=lambda: _move(request, id_, directory.stop))
        case ["archive"]:
            return methods(request, POST=lambda: _move(request, id_, directory.archive))
        case ["metrics"]:
            return methods(request, GET=lambda: _metrics(directory, id_))
        case ["campaign-device-metadata"]:
            return methods(request, GET=lambda: _deployments(request, directory, id_))
    raise unrecognized(request)


def _listing(request: Request, directory: Rollout) -> Answer:
    conditions = filters.of_query(request.query, FILTERED[CAMPAIGNS])
    return listing(
        request,
        directory.candidates(CAMPAIGNS, conditions),
        (lambda id_: directory.matches(CAMPAIGNS, id_, conditions)) if conditions else None,
        lambda id_: _view(directory, id_),
    )


def _view(directory: Rollout, id_: str) -> dict[str, Any]:
    view = CAMPAIGN.view(id_, directory.campaigns.by_key[id_])
    manifest = view["root_manifest_id"]
    return {**view, "root_manifest_url": None if manifest is None else datafile(manifest)}


def _checked(request: Request, directory: Rollout, *, creating: bool) -> Record:
    sent = accepted(request, CAMPAIGN, creating=creating)
    if "device_filter" in sent:
        filters.of_text(sent["device_filter"], FILTERED[DEVICES], "device_filter")
    if sent.get("root_manifest_id") is not None and sent["root_manifest_id"] not in directory.manifests.by_key:
        raise Invalid([("root_manifest_id", "is not the id of a firmware manifest")])
    return sent


def _create(request: Request, directory: Rollout) -> Answer:
    sent = _checked(request, directory, creating=True)
    id_ = directory.new_id(request.now)
    directory.add(CAMPAIGNS, id_, {**sent, **created(request.now)})
    return json_answer(201, _view(directory, id_))


def _update(request: Request, directory: Rollout, id_: str) -> Answer:
    phase = CAMPAIGN.get(directory.campaigns.by_key[id_], "phase")
    if phase != DRAFT:
        raise Refused(403, f"The campaign is {phase}; only a draft can be changed")
    sent = _checked(request, directory, creating=False)
    if sent:
        directory.write(CAMPAIGNS, id_, sent, request.now)
    return json_answer(200, _view(directory, id_))


def _delete(request: Request, directory: Rollout, id_: str) -> Answer:
    phase = CAMPAIGN.get(directory.campaigns.by_key[id_], "phase")
    if phase not in (DRAFT, STOPPED, ARCHIVED):
        raise Refused(409, f"The campaign is {phase}; it must be stopped before it is deleted")
    directory.remove(CAMPAIGNS, id_, request.now)
    return Answer(204)


def _start(request: Request, directory: Rollout, id_: str) -> Answer:
    campaign = directory.campaigns.by_key[id_]
    if CAMPAIGN.get(campaign, "phase") == DRAFT:
        manifest = CAMPAIGN.get(campaign, "root_manifest_id")
        if manifest not in directory.manifests.by_key:
            raise Invalid([("root_manifest_id", "a campaign without a firmware manifest cannot start")])
    return _move(request, id_, directory.start)


def _move(request: Request, id_: str, move: Callable[[str, float], None]) -> Answer:
    try:
        move(id_, request.now)
    except PhaseError as e:
        raise Refused(409, str(e)) from None
    return Answer(202)


def _metrics(directory: Rollout, id_: str) -> Answer:
    campaign = directory.campaigns.by_key[id_]
    if CAMPAIGN.get(campaign, "started_at") is None:
        raise Refused(404, "The campaign has not started: there are no metrics")
    counts = directory.counts(id_)
    return json_answer(
        200,
        {
            "object": "update-campaign-metrics",
            "created_at": campaign["started_at"],
            "total_count": sum(counts.values()),
            **{f"{state}_count": count for state, count in counts.items()},
        },
    )


def _deployments(request: Request, directory: Rollout, id_: str) -> Answer:
    """The devices of a campaign; there are none before it is active."""
    # No field of them can be filtered.
    filters.of_query(request.query, {})
    held = {deployment_id(id_, device): device for device in directory.deployments[id_]}
    return listing(request, sorted(held), None, lambda key: _deployment_view(directory, id_, held[key], key))


def _deployment_view(directory: Rollout, id_: str, device: str, key: str) -> dict[str, Any]:
    return {
        **DEPLOYMENT.view(key, directory.deployments[id_][device]),
        "campaign": id_,
        "device_id": device,
        "name": "",
        "description": "",
        "mechanism": "connector",
        "mechanism_url": None,
    }
