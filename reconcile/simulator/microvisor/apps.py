"""
Apps: immutable, made by an upload, read and deleted (docs/apis/microvisor.md, "Apps" and "Uploads").

docs/apis/microvisor.md, "Deleting an App": one that a Device targets is refused with a 400.
"""

import base64
from typing import Any

from reconcile.simulator import bodies
from reconcile.simulator.clock import date
from reconcile.simulator.exchange import Call, Reply, json_answer
from reconcile.simulator.microvisor import bundle
from reconcile.simulator.microvisor.account import Account, App
from reconcile.simulator.microvisor.refusal import Refused, listing, methods, required, unique_name
from reconcile.simulator.world import digest


def answer_apps(request: Call, account: Account, rest: list[str]) -> Reply:
    base = f"{request.base}/v1/Apps"
    if not rest:
        apps = account.apps

        def view(sid: str) -> dict[str, Any]:
            return _app_view(apps.by_key[sid], account, request)

        return methods(request, GET=lambda: listing(request, account.paging, apps.order(), "apps", base, view))
    manifest = len(rest) > 1 and rest[-1] == "Manifest"
    # The vendor's client leaves `/` in names as it is.
    app = account.app("/".join(rest[:-1] if manifest else rest))

    if manifest:
        return methods(request, GET=lambda: json_answer(200, _manifest_view(required(request, app), base)))
    return methods(
        request,
        GET=lambda: json_answer(200, _app_view(required(request, app), account, request)),
        DELETE=lambda: _delete_app(required(request, app), account),
    )


def _delete_app(app: App, account: Account) -> Reply:
    for device in account.devices.by_key.values():
        if device.app is not None and device.app.target_sid == app.sid:
            raise Refused(400, f"App {app.sid} is targeted by Device {device.sid}")
    account.remove_app(app)
    account.changed.add(("app", app.sid))
    return Reply(204)


def answer_upload(request: Call, account: Account) -> Reply:
    parts = bodies.parts(request.content_type, request.body)
    if "File" not in parts:
        raise Refused(400, "the part File is missing")
    name = None
    if "UniqueName" in parts:
        try:
            name = unique_name(bytes(parts["UniqueName"]).decode())
        except UnicodeDecodeError:
            raise Refused(400, "UniqueName is not UTF-8") from None
    text = bundle.manifest(parts["File"])
    if name is not None and name in account.app_names:
        raise Refused(409, f"UniqueName {name!r} is taken by App {account.app_names[name]}")
    n = len(account.apps.by_key)
    while (sid := "KA" + digest(n, f"app:{account.sid}")[:32]) in account.apps.by_key:
        n += 1
    now = int(request.now)
    app = App(sid, now, now, bundle.manifest_hash(text), text, name)
    account.add_app(app)
    account.changed.add(("app", sid))
    return json_answer(201, _app_view(app, account, request))


def _app_view(app: App, account: Account, request: Call) -> dict[str, Any]:
    url = f"{request.base}/v1/Apps/{app.sid}"
    return {
        "sid": app.sid,
        "account_sid": account.sid,
        "hash": app.hash,
        "unique_name": app.unique_name,
        "date_created": date(app.date_created),
        "date_updated": date(app.date_updated),
        "url": url,
        "links": {"app_manifests": f"{url}/Manifest"},
    }


def _manifest_view(app: App, base: str) -> dict[str, Any]:
    return {
        "app_sid": app.sid,
        "hash": app.hash,
        "encoded_bytes": base64.b64encode(app.manifest).decode(),
        "url": f"{base}/{app.sid}/Manifest",
    }
