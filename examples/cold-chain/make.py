"""
Makes what the example does not write by hand: the app bundles and the inventories.

Run it as `python examples/cold-chain/make.py [DIRECTORY]`; the same bytes come out every time.
"""

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent

APPS = {
    "sensor-a-2.3.1": "Temperature sensor, hardware revision A, NTC probe.",
    "sensor-b-2.4.0": "Temperature sensor, hardware revision B, PT100 probe.",
    "gateway-1.2.0": "Gateway: forwards what the sensors of a warehouse measure.",
}
SITES = ("OSL-1", "BGO-2", "HAM-1", "RTM-3", "MRS-1")
COLUMNS = ("Equipment No.", "Description", "Ext. ID", "Site Code", "HW Rev", "Goods", "Status", "Commissioned")

# Where the trailers stand at night: the depots around each city lie within some kilometres of it.
CITIES = {
    "Oslo": (59.9139, 10.7522),
    "Bergen": (60.3913, 5.3221),
    "Hamburg": (53.5511, 9.9937),
    "Rotterdam": (51.9244, 4.4777),
    "Marseille": (43.2965, 5.3698),
}
TRAILER_COLUMNS = ("Asset", "Agent ID", "Depot", "Latitude", "Longitude", "Radius m", "Cargo", "Status")


def bundle(path: Path, name: str, text: str) -> None:
    """A zip with fixed dates and no compression, so that every machine makes the same bytes."""
    members = {
        "README.txt": f"{name}\n\n{text}\nThis bundle belongs to an example. No device can run it.\n".encode(),
        "app.bin": hashlib.sha256(name.encode()).digest() * 4,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, data in members.items():
            info = zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0))
            info.create_system = 3
            archive.writestr(info, data)


def inventory(path: Path, fleet: str, active: int, scrapped: int, sites: tuple[str, ...]) -> None:
    """A table as an ERP exports it: semicolons, a byte order mark, CRLF, and units that are out of service."""
    lines = [";".join(COLUMNS)]
    total = active + scrapped
    for n in range(1, total + 1):
        number = f"CC-{n:05}"
        sid = "UV" + hashlib.sha256(f"{fleet}:{number}".encode()).hexdigest()[:32]
        # Spread evenly, so that the inventory has exactly as many of each as asked for.
        status = "SCRAPPED" if n * scrapped // total > (n - 1) * scrapped // total else "ACTIVE"
        lines.append(
            ";".join(
                (
                    number,
                    f"Temperature sensor, hall {n % 7 + 1}",
                    sid,
                    sites[n % len(sites)],
                    "AB"[n % 3 == 0],
                    "frozen" if n % 4 == 0 else "chilled",
                    status,
                    f"{2023 + n % 3}-{n % 12 + 1:02}-{n % 28 + 1:02}",
                )
            )
        )
    path.write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())


def trailers(path: Path, fleet: str, active: int, sold: int, cities: tuple[str, ...]) -> None:
    """A table as the portal of the trackers exports it: one agent and one geofence in each row."""
    lines = [",".join(TRAILER_COLUMNS)]
    total = active + sold
    for n in range(1, total + 1):
        asset = f"TR-{n:04}"
        made = hashlib.sha256(f"{fleet}:{asset}".encode()).digest()
        city = cities[n % len(cities)]
        lat, lng = CITIES[city]
        lines.append(
            ",".join(
                (
                    asset,
                    f"T{base64.urlsafe_b64encode(made[:9]).decode()}",
                    city,
                    f"{lat + up_to(0.06, made[9:12]) - 0.03:.5f}",
                    f"{lng + up_to(0.08, made[12:15]) - 0.04:.5f}",
                    str((250, 400, 650)[made[15] % 3]),
                    "frozen" if n % 4 == 0 else "chilled",
                    "SOLD" if n * sold // total > (n - 1) * sold // total else "IN SERVICE",
                )
            )
        )
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode())


def up_to(limit: float, digits: bytes) -> float:
    return limit * int.from_bytes(digits) / 256.0 ** len(digits)


def main(directory: Path) -> None:
    """Writes everything below `directory`."""
    for place in ("base/bundles", "dev/inventory", "prod/inventory"):
        (directory / place).mkdir(parents=True, exist_ok=True)
    for name, text in APPS.items():
        bundle(directory / f"base/bundles/{name}.zip", name, text)
    inventory(directory / "dev/inventory/erp.csv", "dev", 500, 12, SITES[:3])
    inventory(directory / "prod/inventory/erp.csv", "prod", 1000, 30, SITES)
    trailers(directory / "dev/inventory/trailers.csv", "dev", 50, 2, tuple(CITIES)[:3])
    trailers(directory / "prod/inventory/trailers.csv", "prod", 200, 6, tuple(CITIES))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
