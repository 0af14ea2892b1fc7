"""
Makes what the example does not write by hand: the app bundles and the two inventories.

Run it as `python examples/cold-chain/make.py [DIRECTORY]`; the same bytes come out every time.
"""

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


def main(directory: Path) -> None:
    """Writes everything below `directory`."""
    for place in ("base/bundles", "dev/inventory", "prod/inventory"):
        (directory / place).mkdir(parents=True, exist_ok=True)
    for name, text in APPS.items():
        bundle(directory / f"base/bundles/{name}.zip", name, text)
    inventory(directory / "dev/inventory/erp.csv", "dev", 500, 12, SITES[:3])
    inventory(directory / "prod/inventory/erp.csv", "prod", 1000, 30, SITES)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
