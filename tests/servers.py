"""
Real servers for tests, started on loopback for one run and thrown away: PostgreSQL, and pgbouncer before it.

Where one is not installed, the tests that need it are left out, and the last lines of a run say so; in CI that is a
failure instead.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

USER, PASSWORD = "reconcile", "pw of/the@tests"
NOT_HERE = "is not here (Debian package"


def found(program: str, package: str) -> str:
    """The path of a program; leaves the test out where there is none."""
    places = [os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
    path = shutil.which(program, path=os.pathsep.join([*places, "/usr/sbin", "/usr/local/sbin"]))
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} {NOT_HERE} {package}), and CI insists on it")
        pytest.skip(f"{program} {NOT_HERE} {package})")
    return path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Postgres:
    """A server that is running, and can be killed and started again."""

    directory: Path
    port: int
    bin: Path
    as_user: list[str]
    made: list[str] = field(default_factory=list)

    def url(
        self, database: str = "postgres", port: int | None = None, user: str = USER, password: str = PASSWORD
    ) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{port or self.port}/{database}"

    def sql(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """What somebody does with another client; the rows of the last statement."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements[:-1]:
                connection.execute(statement)
            last = connection.execute(statements[-1])
            return last.fetchall() if last.description else []

    def make(self, name: str) -> str:
        """A new database; returns its name. The last two stay: each has some 8 MB of its own from the beginning."""
        self.sql(f'create database "{name}"')
        self.made.append(name)
        while len(self.made) > 2:
            self.sql(f'drop database if exists "{self.made.pop(0)}" with (force)')
        return name

    def start(self, fsync: bool = False) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"
        options += "" if fsync else " -c fsync=off"
        for left in reversed(range(50)):  # after a kill, until the last of its processes has let go of its memory
            try:
                self._ctl("-w", "-o", options, "-l", str(self.directory / "log"), "start")
                break
            except subprocess.CalledProcessError:
                if not left:
                    raise
                time.sleep(0.1)

    def kill(self) -> None:
        """As a machine does that loses its power."""
        pid = int((self.directory / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            while Path(f"/proc/{pid}/cmdline").read_bytes():  # of one that nobody has waited for yet it is empty
                time.sleep(0.05)

    def stop(self) -> None:
        self._ctl("-m", "immediate", "stop")

    def _ctl(self, *words: str) -> None:
        line = [*self.as_user, str(self.bin / "pg_ctl"), "-D", str(self.directory / "data"), *words]
        quiet = subprocess.DEVNULL
        subprocess.run(line, check=True, cwd=self.directory, stdout=quiet, stderr=quiet, timeout=60)


def _as_user() -> list[str]:
    # The server refuses to run as root.
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("this is root, and there is no user postgres to start a server as")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with nothing in it."""
    ctl = Path(found("pg_ctl", "postgresql"))
    # In memory, where there is such a place: what it writes would hold up everything that is synced to the disk.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory, as_user = Path(tempfile.mkdtemp(prefix="reconcile-pg-", dir=memory)), _as_user()
    (directory / "password").write_text(PASSWORD)
    if as_user:
        shutil.chown(directory, "postgres", "postgres")
        shutil.chown(directory / "password", "postgres", "postgres")
    made = [*as_user, str(ctl.parent / "initdb"), "-D", str(directory / "data"), "-U", USER, "--no-sync"]
    made += ["--auth=scram-sha-256", f"--pwfile={directory / 'password'}", "--locale=C.UTF-8", "--encoding=UTF8"]
    subprocess.run(made, check=True, cwd=directory, stdout=subprocess.DEVNULL)
    server = Postgres(directory, free_port(), ctl.parent, as_user)
    server.start()
    try:
        yield server
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def pgbouncer(server: Postgres, mode: str = "transaction") -> Iterator[int]:
    """A pooler before the server, which gives a connection to a client for one transaction; its port."""
    program = found("pgbouncer", "pgbouncer")
    directory, port = Path(tempfile.mkdtemp(prefix="reconcile-bouncer-")), free_port()
    (directory / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
    (directory / "ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n"
        f"auth_type=scram-sha-256\nauth_file={directory}/users\npool_mode={mode}\nunix_socket_dir=\n"
        f"logfile={directory}/log\ndefault_pool_size=4\nadmin_users={USER}\n"
    )
    for path in (directory, *directory.iterdir()):
        if server.as_user:
            shutil.chown(path, "postgres", "postgres")
    log = (directory / "out").open("wb")
    with log, subprocess.Popen([*server.as_user, program, "-q", str(directory / "ini")], stderr=log) as running:
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                assert running.poll() is None, (directory / "log").read_text()
                time.sleep(0.05)
            yield port
        finally:
            running.terminate()
    shutil.rmtree(directory, ignore_errors=True)
