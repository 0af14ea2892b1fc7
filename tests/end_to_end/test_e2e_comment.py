"""The comment of a pull or merge request: one, ours, updated, as long as it may be; and the digest read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_rig import Ran, Rig, sid
from forge_stand_in import TOKEN, StandIn, stand_in

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest) -> Iterator[tuple[str, StandIn]]:
    with stand_in() as made:
        yield request.param, made


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ["RECONCILE_FINGERPRINT_KEY"] = "11" * 32
    rig.configs["host"] = "1"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}}
    return rig


def run(rig: Rig, forge: tuple[str, StandIn], *options: str, pull: int | None = 12, **environ: str) -> Ran:
    kind, api = forge
    if kind == "github":
        about = {"GITHUB_API_URL": api.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": TOKEN}
        about["GITHUB_REF"] = f"refs/pull/{pull}/merge" if pull is not None else "refs/heads/main"
    else:
        about = {"CI_API_V4_URL": api.url, "CI_PROJECT_ID": "7", "GITLAB_TOKEN": TOKEN}
        if pull is not None:
            about["CI_MERGE_REQUEST_IID"] = str(pull)
    before = dict(rig.environ)
    rig.environ |= {**about, **environ}
    try:
        return rig.run("comment", kind, *options)
    finally:
        rig.environ.clear()
        rig.environ.update(before)


def digest(rig: Rig) -> str:
    return str(rig.plan("--format", "json").json["reconcile"]["digest"])


def test_one_comment_is_made_and_updated(fleet: Rig, forge: tuple[str, StandIn]) -> None:
    api = forge[1]
    for number in range(150):  # on the second page, among those of others
        api.add(12, "somebody", f'<!-- reconcile:comment "reconcile" -->\nnumber {number}')
    plan = fleet.saved()
    ran = run(fleet, forge, str(plan))
    assert ran.code == 0 and "Wrote the comment" in ran.err, ran
    (body,) = api.bodies(12, "ci-bot")
    assert body.startswith('<!-- reconcile:comment "reconcile" -->\n<!-- reconcile:plan {"v": 1, "fleet": "tests"')
    assert "Plan: 1 to import, 1 to add, 1 to change" in body or "to import" in body
    fleet.configs["host"] = "2"
    ran = run(fleet, forge, str(fleet.saved()))
    assert ran.code == 0 and "Updated the comment" in ran.err, ran
    (again,) = api.bodies(12, "ci-bot")
    assert again != body and digest(fleet) in again
    assert len(api.bodies(12)) == 151


def test_each_name_has_its_own_and_several_plans_are_sections_of_one(fleet: Rig, forge: tuple[str, StandIn]) -> None:
    one, other = fleet.saved(name="one.plan"), fleet.saved("--target", "microvisor.configs", name="other.plan")
    assert run(fleet, forge, str(one), str(other)).code == 0
    assert run(fleet, forge, str(one), "--name", "staging").code == 0
    first, second = forge[1].bodies(12)
    assert first.count("<!-- reconcile:plan ") == 2 and second.count("<!-- reconcile:plan ") == 1
    assert second.startswith('<!-- reconcile:comment "staging" -->')


def test_it_shortens_by_itself_until_it_fits(fleet: Rig, forge: tuple[str, StandIn]) -> None:
    for number in range(1, 401):
        fleet.configs[f"key-{number}-{'x' * 60}"] = f"{number} {'y' * 60}"
    plans = [str(fleet.saved(name=f"{at}.plan")) for at in range(4)]
    ran = run(fleet, forge, *plans)
    assert ran.code == 0, ran
    (body,) = forge[1].bodies(12)
    assert len(body.encode()) <= (60_000 if forge[0] == "github" else 900_000)
    forge[1].longest = 9_000
    ran = run(fleet, forge, *plans)
    assert ran.code == 0 and "Updated" in ran.err, ran
    (body,) = forge[1].bodies(12)
    assert len(body) <= 9_000 and body.count("Plan digest:") == 4


@pytest.mark.parametrize("wrong", ["token", "broken", "no pull request", "no variable"])
def test_a_job_does_not_fail_for_a_comment_unless_it_is_strict(
    fleet: Rig, forge: tuple[str, StandIn], wrong: str
) -> None:
    plan, more, pull = str(fleet.saved()), dict[str, str](), 12
    if wrong == "token":
        more = {"GITHUB_TOKEN": "another", "GITLAB_TOKEN": "another"}
    elif wrong == "broken":
        forge[1].broken = 400
    elif wrong == "no variable":
        more = {"GITHUB_REPOSITORY": "", "CI_PROJECT_ID": ""}
    said = None if wrong == "no pull request" else pull
    ran = run(fleet, forge, plan, pull=said, **more)
    assert ran.code == 0 and "The comment was not written" in ran.err, ran
    assert TOKEN not in ran.err and "another" not in ran.err
    ran = run(fleet, forge, plan, "--strict", pull=said, **more)
    assert ran.code != 0, ran


def test_the_token_of_a_workflow_may_not_ask_who_it_is(fleet: Rig) -> None:
    with stand_in(user=None) as api:
        plan = str(fleet.saved())
        assert run(fleet, ("github", api), plan).code == 0
        assert run(fleet, ("github", api), plan).code == 0
        assert len(api.bodies(12, "github-actions[bot]")) == 1


def test_the_number_comes_from_the_event(fleet: Rig, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 44}}))
    with stand_in() as api:
        assert run(fleet, ("github", api), str(fleet.saved()), pull=None, GITHUB_EVENT_PATH=str(event)).code == 0
        assert list(api.comments) == [44]


# -- the digest --------------------------------------------------------------------------------------------------------


def test_the_digest_is_read_back_after_the_merge_and_applied(fleet: Rig, forge: tuple[str, StandIn]) -> None:
    api = forge[1]
    expected = digest(fleet)
    assert run(fleet, forge, str(fleet.saved())).code == 0
    api.pulls[COMMIT] = [
        {"number": 3, "iid": 3, "merged_at": None, "state": "closed"},
        {"number": 12, "iid": 12, "merged_at": "2026-11-01", "merge_commit_sha": COMMIT, "state": "merged"},
    ]
    ran = run(fleet, forge, "--digest", "tests", "--commit", COMMIT, pull=None)
    assert ran.code == 0 and ran.out == f"{expected}\n", ran
    ran = run(fleet, forge, "--digest", "tests", pull=None, GITHUB_SHA=COMMIT, CI_COMMIT_SHA=COMMIT)
    assert ran.out.strip() == expected, ran
    assert fleet.apply("--expect-digest", ran.out.strip()).code == 0


def test_a_digest_that_somebody_else_wrote_is_none(fleet: Rig, forge: tuple[str, StandIn]) -> None:
    api = forge[1]
    api.pulls[COMMIT] = [{"number": 12, "iid": 12, "merged_at": "2026-11-01", "state": "merged"}]
    mark = json.dumps({"v": 1, "fleet": "tests", "digest": "a" * 64})
    api.add(12, "somebody", f'<!-- reconcile:comment "reconcile" -->\n<!-- reconcile:plan {mark} -->\n')
    api.add(12, "ci-bot", f"I quote:\n<!-- reconcile:plan {mark} -->\n")
    api.add(12, "ci-bot", f'<!-- reconcile:comment "x" -->\n```diff\n<!-- reconcile:plan {mark} -->\n```\n')
    ran = run(fleet, forge, "--digest", "tests", "--commit", COMMIT, pull=None)
    assert ran.code == 5 and ran.out == "" and "tests" in ran.err, ran
    ran = run(fleet, forge, "--digest", "tests", "--commit", "f" * 40, pull=None)
    assert ran.code == 5, ran


def test_an_offline_plan_has_a_section_and_no_digest(fleet: Rig, forge: tuple[str, StandIn]) -> None:
    out = fleet.directory / "offline.plan"
    assert fleet.plan("--offline", "--out", str(out)).code == 0
    assert run(fleet, forge, str(out)).code == 0
    (body,) = forge[1].bodies(12)
    assert "nothing live was read" in body and '"offline": true' in body and "digest" not in body
    assert run(fleet, forge, "--digest", "tests").code == 5


def test_wrong_inputs(fleet: Rig, forge: tuple[str, StandIn]) -> None:
    plan = str(fleet.saved())
    for options, said in (
        ([plan, "--name", "--> <b>"], "is no name of a comment"),
        ([plan, "--digest", "tests"], "takes no plan file"),
        ([plan, "--commit", COMMIT], "goes with --digest"),
        (["--digest", "tests", "--commit", "HEAD"], "is the id of a commit"),
    ):
        ran = run(fleet, forge, *options)
        assert ran.code == 3 and said in ran.err, ran
    assert forge[1].requests == []
    ran = run(fleet, forge, str(fleet.fleet / "fleet.yaml"), "--strict")
    assert ran.code == 3 and "is not a plan file" in ran.err, ran
