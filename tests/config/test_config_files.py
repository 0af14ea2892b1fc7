"""What a document may read: plain files below the root, never what opens the repository, never what holds a secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from config_fleets import CANARY

from reconcile.config import Inputs, load
from reconcile.core.ports import Document
from reconcile.errors import InvalidInput
from reconcile.files import NotRead, Root
from reconcile.providers.registry import Providers


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with a fleet in `fleet`, and beside it a file of somebody else."""
    root = tmp_path / "repository"
    (root / "fleet").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text(CANARY)
    (root / ".git" / "config.csv").write_text(f"k\n{CANARY}\n")
    (root / ".git" / "config.yaml").write_text(f"variables: {{{CANARY}: {{default: x}}}}\n")
    (tmp_path / "outside").write_text(CANARY)
    return root


def loaded(at: Path, text: str, environ: Mapping[str, str] | None = None, **more: object) -> Document:
    (at / "fleet" / "fleet.yaml").write_text("fleet: f\n" + text)
    return load("fleet", providers=Providers(), inputs=Inputs(environ or {}, cwd=at, **more))  # type: ignore[arg-type]


def refused(at: Path, text: str, environ: Mapping[str, str] | None = None, **more: str | tuple[str, ...]) -> str:
    with pytest.raises(InvalidInput) as wrong:
        loaded(at, text, environ, **more)
    said = "\n".join(f"{problem} {problem.notes} {problem.snippet}" for problem in wrong.value.problems)
    assert CANARY not in said
    return said


READINGS = {
    "text": "microvisor: {configs: {c: {file: '%s'}}}\n",
    "table": "tables: {t: {file: '%s.csv'}}\n",
    "for_each": "microvisor: {devices: {b: {for_each: '%s.csv', key: x}}}\n",
    "include": "include: ['%s.yaml']\n",
    "bundle": "microvisor: {apps: {a: {bundle: '%s'}}}\n",
}


@pytest.mark.parametrize("kind", READINGS)
@pytest.mark.parametrize("path", ["../.git/config", "../.GIT/config", "../.git/../.git/config", "link/config"])
def test_nothing_is_read_in_git(repository: Path, kind: str, path: str) -> None:
    (repository / "fleet" / "link").symlink_to("../.git")
    said = refused(repository, READINGS[kind] % path)
    assert "lies in .git" in said
    assert "fleet.yaml:2" in said


@pytest.mark.parametrize("kind", READINGS)
def test_a_path_that_is_too_long_is_an_error_at_its_place(repository: Path, kind: str) -> None:
    said = refused(repository, READINGS[kind] % ("x" * 5000))
    assert "cannot be read: file name too long" in said
    assert "fleet.yaml:2" in said


def test_without_a_repository_the_root_is_the_fleets_directory(repository: Path) -> None:
    (repository / ".git").rename(repository / "no-git")
    (repository / "beside").write_text("hello")
    text = READINGS["text"] % "../beside"
    said = refused(repository, text)
    assert "lies outside the root (fleet)" in said
    assert "--root DIR, or RECONCILE_ROOT" in said
    assert loaded(repository, text, root=".")
    assert loaded(repository, text, {"RECONCILE_ROOT": str(repository)})
    assert "lies outside" in refused(repository, text, {"RECONCILE_ROOT": str(repository)}, root="fleet")


@pytest.mark.parametrize(
    ("root", "words"), [("..", None), ("no", "is not a directory"), ("fleet/x", "does not contain")]
)
def test_a_root_that_does_not_contain_the_fleet_is_an_error(repository: Path, root: str, words: str | None) -> None:
    (repository / "fleet" / "x").mkdir()
    if words is None:
        assert loaded(repository, "", root=root)
    else:
        assert words in refused(repository, "", root=root)


@pytest.mark.parametrize(
    "text",
    [
        "microvisor: {configs: {c: {file: secrets/psk}}, secrets: {s: file:secrets/psk}}\n",
        "microvisor: {secrets: {s: file:secrets/psk}, configs: {c: {file: secrets/psk}}}\n",
        "microvisor: {configs: {c: {file: link}}, secrets: {s: file:secrets/psk}}\n",
        "microvisor: {configs: {c: {file: secrets/psk}}, secrets: {s: file:link}}\n",
        'microvisor: {configs: {c: {file: secrets/psk}}, secrets: {s: \'file:secrets/{{ "p" ~ "sk" }}\'}}\n',
        "microvisor: {configs: {'%': {file: secrets/psk}}, secrets: {s: file:secrets/psk}}\n",
        "tables: {w: {file: secrets/wifi.json, key: site}}\n"
        "microvisor:\n  secrets: {s: 'file:secrets/wifi.json#/oslo/psk'}\n"
        "  devices: {d: {restart: \"{{ table.w['oslo'].psk }}\", logging: \"{{ table.w['oslo'].psk }}\"}}\n",
        "include: [secrets/more.yaml]\nmicrovisor: {secrets: {s: 'file:secrets/more.yaml#/x'}}\n",
        "providers: {microvisor: {auth_token: file:secrets/psk}}\nmicrovisor: {configs: {c: {file: secrets/psk}}}\n",
    ],
)
def test_a_file_that_a_secret_reference_names_is_nothing_else(repository: Path, text: str) -> None:
    place = repository / "fleet" / "secrets"
    place.mkdir()
    (place / "psk").write_text(CANARY)
    (place / "wifi.json").write_text(f'{{"oslo": {{"psk": "{CANARY}"}}}}')
    (place / "more.yaml").write_text(f"{CANARY}: x\n")
    (repository / "fleet" / "link").symlink_to("secrets/psk")
    said = refused(repository, text)
    assert "holds a secret (file:" in said
    assert "fleet.yaml:" in said


@pytest.mark.parametrize(
    "text",
    [
        # The table cannot be read, so no row of the block says what its secrets are.
        "microvisor: {devices: {b: {for_each: ../secret.yaml, key: x, secrets: {p: 'file:../secret.yaml'}}}}\n",
        "tables: {t: {file: ../secret.yaml}}\n"
        "microvisor: {devices: {b: {for_each: t, key: x, secrets: {p: 'file:../secret.yaml#/{{ row.n }}'}}}}\n",
        "microvisor: {configs: {c: {file: ../secret.yaml}},"
        " devices: {d: {when: 'false', secrets: {p: 'file:../secret.yaml'}}}}\n",
        "profiles: {unused: {secrets: {p: 'file:../secret.yaml'}}}\n"
        "microvisor: {configs: {c: {file: ../secret.yaml}}}\n",
    ],
    ids=["for_each", "table", "when", "profile"],
)
def test_a_reference_counts_wherever_it_is_written_out(repository: Path, text: str) -> None:
    (repository / "secret.yaml").write_text(f"{CANARY}: 1\n{CANARY}: 2\n- {CANARY}\n")
    assert "secret.yaml names it" in refused(repository, text)


def test_a_file_in_a_directory_of_its_owner_alone_is_its_owners(repository: Path) -> None:
    (repository / "private").mkdir(mode=0o700)
    (repository / "private" / "text").write_text(CANARY)
    assert "its owner only" in refused(repository, "microvisor: {configs: {c: {file: ../private/text}}}\n")
    (repository / "private").chmod(0o755)
    assert loaded(repository, "microvisor: {configs: {c: {file: ../private/text}}}\n")


def test_a_file_that_only_its_owner_may_read_is_read_only_where_the_main_file_is_like_it(repository: Path) -> None:
    own = repository / "fleet" / "own"
    own.write_text(CANARY)
    own.chmod(0o600)
    text = READINGS["text"] % "own"
    assert "chmod go+r fleet/own" in refused(repository, text)
    (repository / "fleet" / "fleet.yaml").chmod(0o600)
    assert loaded(repository, text)
    (repository / "fleet" / "fleet.yaml").chmod(0o644)
    own.chmod(0o640)
    assert loaded(repository, text)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../../home/.profile", "lies outside"),
        ("/nowhere/x.db", "is absolute"),
        ("out/x.db", "lies outside"),
        ("../.git/x.db", "lies in .git"),
        ("../.git", "lies in .git"),
        ("x" * 5000 + "/y", "cannot be read"),
        ("../elsewhere/x.db", None),
        ("state/x.db", None),
    ],
)
def test_the_state_lies_below_the_root(repository: Path, tmp_path: Path, path: str, words: str | None) -> None:
    (repository / "fleet" / "out").symlink_to(tmp_path)
    text = f"state: {{path: '{path}'}}\n"
    if words is None:
        assert Path(loaded(repository, text).state.path).is_relative_to(repository)
        return
    said = refused(repository, text)
    assert words in said
    assert "fleet.yaml:2" in said
    assert "--state PATH" in said
    assert loaded(repository, text, state_elsewhere=True)


def test_the_state_has_no_absolute_path_in_a_document_even_below_the_root(repository: Path) -> None:
    text = f"state: {{path: {repository}/state/x.db}}\n"
    said = refused(repository, text)
    assert 'the state "/' in said and "is absolute" in said
    assert "fleet.yaml:2" in said
    assert "--state PATH. A path is relative to the file it stands in" in said


def test_the_default_place_of_the_state_is_no_way_out_either(repository: Path, tmp_path: Path) -> None:
    (repository / "fleet" / "state").symlink_to(tmp_path)
    assert "lies outside" in refused(repository, "")


def test_a_variable_file_in_the_checkout_leads_nowhere_else(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "vars.yaml").write_text(f"x: {CANARY}\n")
    (repository / "vars.yaml").symlink_to(tmp_path / "vars.yaml")
    text = "variables: {x: {type: number}}\n"
    assert "lies outside" in refused(repository, text, var_files=("vars.yaml",))
    assert "file name too long" in refused(repository, text, var_files=("x" * 5000,))
    (tmp_path / "vars.yaml").write_text("x: 1\n")
    assert loaded(repository, text, var_files=(str(tmp_path / "vars.yaml"),))


def test_a_bundle_is_not_larger_than_its_field_says(repository: Path) -> None:
    bundle = repository / "fleet" / "a.zip"
    with bundle.open("wb") as file:
        file.truncate(16 << 30)
    text = READINGS["bundle"] % "a.zip"
    assert "at most 1,073,741,824 are uploaded" in refused(repository, text)
    text = "device_management: {firmware_images: {a: {file: a.zip}}}\n"
    assert "at most 4,294,967,296 are uploaded" in refused(repository, text)


@pytest.mark.parametrize("swapped", ["file", "directory"])
def test_a_link_that_was_put_there_after_the_check_is_not_followed(tmp_path: Path, swapped: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "b").write_text("good")
    (tmp_path / "b").write_text(CANARY)
    files = Root(root)
    found = files.find("a/b", root)
    assert files.open(found).read() == b"good"
    if swapped == "file":
        found.unlink()
        found.symlink_to(tmp_path / "b")
    else:
        (root / "a").rename(root / "old")
        (root / "a").symlink_to(tmp_path)
    with pytest.raises(NotRead):
        files.open(found)


@pytest.mark.parametrize("template", ['{{ "\\x00" }}', '{{ "a" ~ "\\ud800" }}', "{{ table.t[0].k }}", "{{ var.m.k }}"])
def test_a_character_that_no_file_may_hold_is_made_by_nothing_else(repository: Path, template: str) -> None:
    (repository / "fleet" / "t.json").write_text('[{"k": "\\u0000"}]')
    text = "variables: {m: {type: map}}\ntables: {t: {file: t.json}}\n"
    text += f"microvisor: {{configs: {{c: '{template}'}}}}\n"
    assert "may not hold the character U+" in refused(repository, text, var=('m={"k": "\\ud83d"}',))


@pytest.mark.parametrize(
    "source", ["9" * 5000, "1_" * 3000 + "1", "'\\x'", "'\\N{nothing}'", "1e999999", "0x" + "f" * 9000]
)
def test_what_the_parser_of_templates_cannot_read_is_an_ordinary_error(repository: Path, source: str) -> None:
    said = refused(repository, "microvisor:\n  configs:\n    c: >-\n      {{ " + source + " }}\n")
    assert "fleet.yaml:4" in said


def test_the_budget_grows_with_the_rows(repository: Path) -> None:
    """A field of 60 characters over many rows costs what one does, however often it is used."""
    (repository / "fleet" / "t.csv").write_text("k\n" + "".join(f"r{row}\n" for row in range(3000)))
    many = "{{ (var.a ~ row.k) | upper | lower | replace('x', 'y') | length }}"
    text = (
        f"variables: {{a: {{default: '{'x' * 8000}'}}}}\ntables: {{t: {{file: t.csv}}}}\n"
        f'microvisor: {{devices: {{b: {{for_each: t, key: "{{{{ row.k }}}}", restart: "{many}"}}}}}}\n'
    )
    assert loaded(repository, text).count("microvisor.devices") == 3000
    text = text.replace("x" * 8000, "x" * 80_000)
    assert "too expensive" in refused(repository, text)


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="a directory without its list is opened on Linux alone")
def test_a_directory_that_may_only_be_searched_is_passed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("good")
    (tmp_path / "a").chmod(0o311)
    assert Root(tmp_path).open(Root(tmp_path).find("a/b", tmp_path)).read() == b"good"
