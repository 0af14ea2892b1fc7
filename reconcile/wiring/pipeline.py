"""The job that this runs in, as the variables of usual pipelines tell it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_JOBS = ("CI_JOB_URL", "BUILD_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL")
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "BUILDKITE_COMMIT", "CIRCLE_SHA1")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'*+,;=%-]+")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """
    Attributes:
        job: URL of the job. commit: that it works on.
        files: URL of the repository's files at that commit, to which a path is added; None where nobody tells.
        root: directory of the checkout; "" where nobody tells.
    """

    job: str | None = None
    commit: str | None = None
    files: str | None = None
    root: str = ""


def pipeline_of(environ: Mapping[str, str]) -> Pipeline:
    """What the environment tells of the job."""
    server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
    run = environ.get("GITHUB_RUN_ID")
    github = f"{server}/{repository}" if server and repository else None
    job = f"{github}/actions/runs/{run}" if github and run else _first(environ, _JOBS)
    commit = _first(environ, _COMMITS)
    project, files = environ.get("CI_PROJECT_URL"), None
    if commit and re.fullmatch(r"[0-9a-f]{7,64}", commit):
        if github:
            files = f"{github}/blob/{commit}/"
        elif project:
            files = f"{project}/-/blob/{commit}/"
    if files is not None and not _URL.fullmatch(files):
        files = None
    root = environ.get("GITHUB_WORKSPACE" if github else "CI_PROJECT_DIR", "")
    return Pipeline(job, commit, files, root)


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)
