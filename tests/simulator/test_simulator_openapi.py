"""The simulator against the vendor's OpenAPI document. It lists success codes only, so status codes are not checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from simulated_fleet import ACCOUNT, APPS, DEVICES, TOKEN, small_world

from reconcile.simulator import running
from reconcile.simulator.serving import Running

DOCUMENT = Path(__file__).parent.parent / "data" / "microvisor.openapi.json"
CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]

schema = schemathesis.openapi.from_path(DOCUMENT)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(world=small_world()) as simulator:
        yield simulator


@pytest.mark.parametrize("known", [False, True], ids=["any path", "paths of what exists"])
@schema.parametrize()
@hypothesis.settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_answers_keep_to_the_vendors_document_whatever_is_sent(case: Any, server: Running, known: bool) -> None:
    if known:
        server.put(small_world())
        case.path_parameters = {name: _existing(case.path, name) for name in case.path_parameters or {}}
    case.call_and_validate(base_url=server.url, auth=(ACCOUNT, TOKEN), checks=CHECKS)


OPERATIONS = [operation.ok() for operation in schema.get_all_operations()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=[o.label for o in OPERATIONS])
def test_every_operation_of_the_document_succeeds_with_the_code_it_documents(operation: Any, server: Running) -> None:
    server.put(small_world())
    path, method = operation.path, operation.method.upper()
    parameters = {
        name: _existing(path, name) for name in ("Sid", "DeviceSid", "AppSid", "Key") if f"{{{name}}}" in path
    }
    if path.endswith(("/Configs", "/Secrets")):
        body = {"Key": "new key", "Value": "value"}
    elif "{Key}" in path:
        body = {"Value": "value"}
    else:
        body = {"UniqueName": "renamed", "TargetApp": "sensor-2", "LoggingEnabled": "True"}
    form = {"body": body, "media_type": "application/x-www-form-urlencoded"} if method == "POST" else {}
    case = operation.Case(path_parameters=parameters, **form)
    response = case.call_and_validate(base_url=server.url, auth=(ACCOUNT, TOKEN), checks=CHECKS)
    assert str(response.status_code) in operation.definition.raw["responses"]


def _existing(path: str, name: str) -> str:
    if name != "Key":
        return APPS[1] if "/Apps" in path else DEVICES[1]
    device = "/Devices" in path
    if "Configs" in path:
        return "site" if device else "mqtt_host"
    return "wifi_psk" if device else "mqtt_password"
