"""
The tables of the resources (docs/apis/device_management.md; the limits that it leaves out are those of the vendor's
descriptions of 2019 and 2020).

What stands with `shown=False` is no field of the API but a fact of the simulated world:

- device `online`: connects on its period. `check_in_s`: that period, in seconds. `fail_update`: cannot install
  any firmware.
- manifest `image_id`: the image that it stands for (see `firmware`), null for none.
- campaign `requested_at`: when its start was asked for, if somebody has to approve it.
"""

import re
from dataclasses import replace
from enum import StrEnum

from reconcile.simulator.device_management.fields import Field, Kind, Resource

# The sections of the world, and what hangs on a campaign.
DEVICES = "devices"
GROUPS = "groups"
IMAGES = "firmware_images"
MANIFESTS = "firmware_manifests"
CAMPAIGNS = "campaigns"
KEYS = "shared_keys"
DEPLOYMENTS = "deployments"

NAME = 128
DESCRIPTION = 2000
# A year: longer periods are written as `online: false`.
_MAX_PERIOD_S = 366 * 86400

REGISTERED = "registered"
UNENROLLED = "unenrolled"
DEREGISTERED = "deregistered"


class Phase(StrEnum):
    """Of a campaign, in their order."""

    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting_approval"
    STARTING = "starting"
    ACTIVE = "active"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ARCHIVED = "archived"


ONE_SHOT = "one-shot"
CONTINUOUS = "continuous"

ID = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _on_create(field: Field) -> Field:
    return replace(field, update=False)


def _read_only(field: Field) -> Field:
    return replace(field, create=False, update=False)


def _of_the_world(field: Field) -> Field:
    return replace(field, create=False, update=False, shown=False, filtered=False)


# The vendor's client sends back what it has read, so texts that were never set are empty, not null.
DEVICE = Resource(
    "device",
    Field("name", default="", most=NAME),
    Field("description", default="", most=DESCRIPTION),
    Field("custom_attributes", Kind.ATTRIBUTES, {}, most=5),
    Field("endpoint_type", default="", most=64),
    Field("host_gateway", default=""),
    Field("device_key", default="", most=512),
    Field("ca_id", default="", most=500),
    Field("auto_update", Kind.FLAG, False),
    _on_create(Field("endpoint_name", default="", most=64)),
    _on_create(
        Field(
            "state",
            default=REGISTERED,
            choices=(UNENROLLED, "cloud_enrolling", "bootstrapped", REGISTERED, DEREGISTERED),
        )
    ),
    _on_create(Field("device_class", default="", most=32)),
    _on_create(Field("serial_number", default="", most=64)),
    _on_create(Field("vendor_id", default="", most=255)),
    _on_create(Field("mechanism", default="connector", choices=("connector", "direct"))),
    _on_create(Field("mechanism_url", default="")),
    _on_create(Field("deployment", default="")),
    _on_create(Field("manifest", default="")),
    _on_create(Field("issuer_fingerprint", default="", most=64)),
    _on_create(Field("device_execution_mode", Kind.NUMBER, default=0, choices=(0, 1, 5))),
    _on_create(Field("bootstrap_expiration_date", Kind.DAY)),
    _on_create(Field("connector_expiration_date", Kind.DAY)),
    _read_only(Field("firmware_checksum", default="", pattern=_SHA256)),
    _read_only(Field("deployed_state", default="production", choices=("development", "production"))),
    _read_only(Field("bootstrapped_timestamp", Kind.DATE)),
    _read_only(Field("enrolment_list_timestamp", Kind.DATE)),
    _read_only(Field("manifest_timestamp", Kind.DATE)),
    _of_the_world(Field("online", Kind.FLAG, True)),
    _of_the_world(Field("check_in_s", Kind.NUMBER, 60, least=0.001, most=_MAX_PERIOD_S)),
    _of_the_world(Field("fail_update", Kind.FLAG, False)),
)

GROUP = Resource(
    "device-group",
    Field("name", most=NAME, required=True),
    Field("description", default="", most=DESCRIPTION),
    Field("custom_attributes", Kind.ATTRIBUTES, {}, most=10),
)

IMAGE = Resource(
    "firmware-image",
    _on_create(Field("name", most=NAME, required=True)),
    _on_create(Field("description", default="", most=DESCRIPTION)),
    _read_only(Field("datafile_checksum", pattern=_SHA256)),
    _read_only(Field("datafile_size", Kind.NUMBER, default=0, most=2**53)),
)

MANIFEST = Resource(
    "firmware-manifest",
    _on_create(Field("name", most=NAME, required=True)),
    _on_create(Field("description", default="", most=DESCRIPTION)),
    _read_only(Field("datafile_size", Kind.NUMBER, default=0, most=2**53)),
    _read_only(Field("device_class", default="", most=32)),
    _read_only(Field("timestamp", Kind.DATE)),
    _read_only(Field("key_table", default="", filtered=False)),
    _of_the_world(Field("image_id", Kind.TEXT, pattern=ID)),
)

CAMPAIGN = Resource(
    "update-campaign",
    Field("name", default="default_object_name", most=NAME),
    Field("description", default="", most=DESCRIPTION),
    Field("device_filter", default="", required=True),
    Field("root_manifest_id", most=32, nullable=True),
    Field("when", Kind.DATE, nullable=True),
    # The description of PUT has every field of POST but this one.
    _on_create(Field("campaign_strategy", default=ONE_SHOT, choices=(ONE_SHOT, CONTINUOUS), filtered=False)),
    Field("autostop", Kind.FLAG, True, filtered=False),
    Field("autostop_success_percent", Kind.NUMBER, 100.0, most=100, filtered=False),
    Field("approval_required", Kind.FLAG, False, filtered=False),
    # There is a filter on the older `state`, and none on the phase.
    _read_only(Field("phase", default=Phase.DRAFT, choices=tuple(Phase), filtered=False)),
    _read_only(Field("autostop_reason", filtered=False)),
    _read_only(Field("started_at", Kind.DATE)),
    _read_only(Field("starting_at", Kind.DATE, filtered=False)),
    _read_only(Field("active_at", Kind.DATE, filtered=False)),
    _read_only(Field("stopping_at", Kind.DATE, filtered=False)),
    _read_only(Field("stopped_at", Kind.DATE, filtered=False)),
    _read_only(Field("archived_at", Kind.DATE, filtered=False)),
    _read_only(Field("finished", Kind.DATE)),
    _of_the_world(Field("requested_at", Kind.DATE)),
)

# A device in a campaign; its id depends on nothing but the two.
DEPLOYMENT = Resource(
    "update-campaign-device-metadata",
    _read_only(
        Field(
            "deployment_state",
            default="pending",
            filtered=False,
            choices=(
                "pending",
                "updated_connector_channel",
                "failed_connector_channel_update",
                "deployed",
                "manifestremoved",
                "deregistered",
            ),
        )
    ),
    # Counted as skipped: it had the firmware already.
    _of_the_world(Field("skipped", Kind.FLAG, False)),
)

KEY = Resource(
    "pre-shared-key",
    _of_the_world(Field("secret_hex", pattern=re.compile(r"(0[xX])?[0-9a-fA-F]{32,64}", re.ASCII), required=True)),
)
ENDPOINT = re.compile(r"[ -~]{16,64}", re.ASCII)

RESOURCES = {
    DEVICES: DEVICE,
    GROUPS: GROUP,
    IMAGES: IMAGE,
    MANIFESTS: MANIFEST,
    CAMPAIGNS: CAMPAIGN,
    KEYS: KEY,
    DEPLOYMENTS: DEPLOYMENT,
}
