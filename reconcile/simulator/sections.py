"""
The sections of a world: what a simulator simulates. The only place that names a vendor.

On a path of no API the first one answers.
"""

from typing import Any

from reconcile.simulator.asset_tracker.section import AssetTracker
from reconcile.simulator.device_management.section import DeviceManagement
from reconcile.simulator.microvisor.section import Microvisor
from reconcile.simulator.world import Section

# In the order of the world's keys.
SECTIONS: tuple[Section[Any], ...] = (Microvisor(), AssetTracker(), DeviceManagement())
# Those of the account first.
CREDENTIALS = sorted(
    (credential for section in SECTIONS for credential in section.credentials),
    key=lambda credential: credential.of_units,
)
