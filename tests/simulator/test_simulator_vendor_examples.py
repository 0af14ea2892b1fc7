"""The JSON examples of the vendor's pages: the simulator answers with the same fields, and the provider reads both."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from simulated_fleet import DEVICES

from reconcile.providers.microvisor import Microvisor
from reconcile.simulator.serving import Running

EXAMPLES = Path(__file__).parent.parent / "data" / "examples"


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
    return found


def shape(value: Any) -> Any:
    """The names of fields, nested; what stands in them is the example's own."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return shape(value[0]) if isinstance(value, list) and value else None


def missing(expected: Any, found: Any) -> list[str]:
    if not isinstance(expected, dict) or not isinstance(found, dict):
        return []
    absent = [name for name in expected if name not in found]
    return absent + [f"{name}.{path}" for name in expected for path in missing(expected[name], found.get(name))]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("device", f"/v1/Devices/{DEVICES[1]}"),
        ("device_updated", f"/v1/Devices/{DEVICES[1]}"),
        ("device_list_empty", "/v1/Devices"),
        ("app", "/v1/Apps/sensor-1"),
        ("app_list", "/v1/Apps"),
        ("error", "/v1/Devices/nobody"),
    ],
)
def test_every_field_of_the_example_is_in_the_answer(client: httpx.Client, sim: Running, name: str, path: str) -> None:
    answer = client.get(path).json()
    expected = example(name)
    expected.pop("detail", None)  # docs/apis/microvisor.md, "Errors": optional
    assert missing(shape(expected), shape(answer)) == []


def test_the_provider_reads_the_examples_of_a_device() -> None:
    from reconcile.providers.microvisor.devices import read_device

    seen = read_device(example("device"))
    assert seen.attrs["app"] == seen.facts["reported"] == "KA" + "a" * 32
    assert seen.attrs["logging"] is True
    assert read_device(example("device_updated")).facts["update_status"] == "pending"


def test_the_provider_reads_the_older_shape_of_the_overview_page() -> None:
    from reconcile.providers.microvisor.devices import read_device

    # The page's own example is no JSON ("info", null): two slips are mended here, and nowhere else.
    text = (EXAMPLES / "device_overview.txt").read_text("utf-8")
    device = json.loads(text.replace('""2021', '"2021').replace('"info", null', '"info": null'))
    seen = read_device(device)
    assert seen.attrs == {"unique_name": "My Microvisor IoT Device", "app": None, "logging": True}
    assert seen.facts["logging_ends"] == "2021-10-22T19:00:00Z"
    assert seen.facts["update_status"] == "up-to-date"


def test_the_provider_has_every_type_of_the_api() -> None:
    assert [kind.path for kind in Microvisor.types] == [
        "microvisor.apps",
        "microvisor.configs",
        "microvisor.secrets",
        "microvisor.devices",
        "microvisor.devices.configs",
        "microvisor.devices.secrets",
    ]
