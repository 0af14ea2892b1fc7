"""Bad inputs 71–78: names and values that strangers wrote reach a terminal, a log and a CI runner as plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input_cases import APPLY, fleet, sid
from bad_input_harness import Ran, environment, run, world, write

from reconcile.simulator import running
from reconcile.simulator.serving import Running

HOSTILE = {
    "71: clears the screen and links away": "\x1b[2J\x1b]8;;http://evil\x07click\x1b]8;;\x07",
    "71: does so in many lines": "one\n\x1b[2J\ntwo\x9b31m\x00three".replace("\x00", ""),
    "72: overwrites the line": "delete 1 device\radd  1 device",
    "73: is read from right to left": "abc\u202efed\u2066x\u2069",
    "73: has nothing in it that one sees": "a\u200bb\ufeffc\u00add",
    "74: Markdown and HTML": "```\n# heading\n@everyone <img src=x onerror=alert(1)> [x](javascript:alert(1)) | a |",
    "75: commands of CI runners": "x\n::add-mask::a\n::error::b\n##vso[task.set]c\n##teamcity[stop]\n##[error]d",
    "75: a command of a CI runner at once": "::error::b",
    "76: markup of a terminal library": "[link=http://evil][bold red]x[/][/link]",
    "77: a formula": '=HYPERLINK("http://evil")',
}
AT_LINE_START = ("::", "##vso[", "##[", "##teamcity[")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Running]:
    with running(world=world()) as one:
        yield one


def check_lines(ran: Ran) -> None:
    """No line begins with what a CI runner takes for a command, blanks before it included."""
    for line in (ran.out + "\n" + ran.err).split("\n"):
        assert not line.strip().startswith(AT_LINE_START), line


def test_71_to_77_what_is_live_moves_no_terminal_and_commands_no_runner(simulator: Running, tmp_path: Path) -> None:
    values = {f"k{at}": value for at, value in enumerate(HOSTILE.values())}
    names = {
        sid(at): {"unique_name": value, "configs": {value: value} | values}
        for at, value in enumerate(HOSTILE.values(), start=1)
    }
    simulator.put(world(devices=names, configs=values | {value: value for value in values.values()}))
    devices = "".join(f"    d{at}: {{sid: {sid(at)}, configs: {{k0: new}}}}\n" for at in range(1, len(names) + 1))
    configs = "".join(f"    {key}: new\n" for key in values)
    home = write(tmp_path / "f", fleet(f"  configs:\n{configs}  devices:\n{devices}"))
    env = environment(tmp_path, simulator.url)

    some, others = (
        [("--target", f"microvisor.configs.{key}") for key in list(values)[half]] for half in (slice(5), slice(5, 10))
    )
    planned = [run("plan", "-vv", *sum(half, ()), cwd=home, env=env) for half in (some, others)]
    as_json = run("plan", "--format", "json", cwd=home, env=env)
    applied = run(*APPLY, "--parallelism", "1", cwd=home, env=env)
    shown = [run(*command, cwd=home, env=env) for command in (("state", "list"), ("show",), ("state", "pull"))]

    for ran in (*planned, as_json, applied, *shown):
        assert ran.code == 0, ran.said
        check_lines(ran)
    for text in (
        "\\u001b[2J",
        "delete 1 device\\radd",
        "\\u202e",
        "\\u200b",
        "\\n::error::",
        "[link=http://evil]",
        "=HYPERLINK(",
    ):
        assert text in planned[0].out + planned[1].out, (
            f"{text} is shown as what it is:\n{planned[0].out}{planned[1].out}"
        )
    before = {
        one["change"]["before"]["value"]
        for one in json.loads(as_json.out)["resource_changes"]
        if one["type"] == "microvisor_config"
    }
    assert before == set(values.values())


def test_71_to_77_what_is_written_is_sent_as_it_is_and_shown_as_text(simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    values = {f"k{at}": value for at, value in enumerate(HOSTILE.values())}
    formula = HOSTILE["77: a formula"]
    cell = formula.replace('"', '""')
    block = f"for_each: rows.csv, key: one, sid: {sid(1)}, configs: {{cell: '{{{{ row.cell }}}}'}}"
    table = f"  devices:\n    b: {{{block}}}\n"
    configs = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in values.items())
    home = write(tmp_path / "f", fleet(f"  configs:\n{configs}{table}") | {"rows.csv": f'cell\n"{cell}"\n'})
    env = environment(tmp_path, simulator.url)

    runs = [run(*command, cwd=home, env=env) for command in (("plan",), APPLY, ("show",), ("state", "list"))]
    again = run("plan", "--detailed-exitcode", cwd=home, env=env)

    for ran in (*runs, again):
        assert ran.code == 0, ran.said
        check_lines(ran)
    assert simulator.world["microvisor"]["configs"] == values
    assert simulator.world["microvisor"]["devices"][sid(1)]["configs"] == {"cell": formula}


KEYS = [value for value in HOSTILE.values() if value.isprintable() and value.isascii()]


def test_74_to_77_keys_that_mean_something_elsewhere_are_quoted(simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    keys = [
        *KEYS,
        "```",
        "# heading",
        "@everyone",
        "<img src=x onerror=alert(1)>",
        "| a |",
        "##vso[x]",
        "##teamcity[x]",
    ]
    home = write(tmp_path / "f", fleet("  configs:\n" + "".join(f"    {json.dumps(key)}: x\n" for key in keys)))
    env = environment(tmp_path, simulator.url)

    runs = [run(*command, cwd=home, env=env) for command in (("plan",), APPLY, ("show",), ("state", "list"))]

    for ran in runs:
        assert ran.code == 0, ran.said
        check_lines(ran)
    assert set(simulator.world["microvisor"]["configs"]) == set(keys)
    assert {f"microvisor.configs[{json.dumps(key)}]" for key in keys} <= set(runs[3].out.splitlines())


@pytest.mark.parametrize("name", [name for name, value in HOSTILE.items() if not value.isprintable()])
def test_71_to_75_a_key_that_moves_a_terminal_is_refused(name: str, simulator: Running, tmp_path: Path) -> None:
    home = write(tmp_path / "f", fleet(f"  configs:\n    {json.dumps(HOSTILE[name])}: x\n"))

    ran = run(*APPLY, cwd=home, env=environment(tmp_path, simulator.url))

    assert ran.code == 3, ran.said
    assert ran.has_error(("fleet.yaml line 4", "an invisible character")), ran.said
    check_lines(ran)


def test_71_to_76_the_words_of_an_api_are_shown_as_text(simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    said = "".join(HOSTILE.values())
    body = {"code": 20001, "message": said, "detail": said, "more_info": said, "status": 400}
    headers = {"Twilio-Request-Id": "RQ::error::x"}
    simulator.set_faults({"match": {"method": "POST"}, "effect": {"status": 400, "body": body, "headers": headers}})
    home = write(tmp_path / "f", fleet("  configs: {a: b}\n"))

    ran = run(*APPLY, "-vv", cwd=home, env=environment(tmp_path, simulator.url))
    simulator.set_faults()

    assert ran.code == 7, ran.said
    assert "20001" in ran.said
    check_lines(ran)


NASTY = "\x1b[2J\n::error::x\u202e"
ARGUMENTS = {
    "a path": ("plan", NASTY),
    "an address": ("state", "show", NASTY),
    "an address to remove": ("state", "rm", f'microvisor.configs["{NASTY}"]'),
    "a lock": ("unlock", NASTY),
    "a variable": ("plan", "--var", f"{NASTY}=x"),
    "a file of variables": ("plan", "--var-file", NASTY),
    "a host": ("plan", "--allow-host", NASTY),
    "a limit": ("plan", "--allow", NASTY),
    "a command": (NASTY,),
    "an option": ("plan", f"--{NASTY}"),
    "a format": ("plan", "--format", NASTY),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_71_an_argument_that_moves_a_terminal_does_not(name: str, simulator: Running, tmp_path: Path) -> None:
    home = write(tmp_path / "f", fleet("  configs: {a: b}\n"))

    ran = run(*ARGUMENTS[name], cwd=home, env=environment(tmp_path, simulator.url))

    assert ran.code == (6 if name == "a lock" else 3), ran.said
    check_lines(ran)


def test_71_a_target_that_is_nothing_is_said_and_moves_no_terminal(simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    home = write(tmp_path / "f", fleet("  configs: {a: b}\n"))

    ran = run(*APPLY, "--target", NASTY, cwd=home, env=environment(tmp_path, simulator.url))

    assert ran.code in (0, 3), ran.said
    assert "selects nothing" in ran.said
    assert simulator.world["microvisor"]["configs"] == {}
    check_lines(ran)


def test_71_a_directory_and_files_whose_names_move_a_terminal(simulator: Running, tmp_path: Path) -> None:
    simulator.put(world())
    files = {f"{NASTY}.yaml": "fleet: f\nmicrovisor:\n  devices: {b: {for_each: rows\x1b[2J.csv, key: x}}\n"}
    home = write(tmp_path / NASTY, {NASTY.replace("/", "") + ".yaml": files[f"{NASTY}.yaml"].replace("\x1b", "")})

    inside = run(*APPLY, cwd=home, env=environment(tmp_path, simulator.url))
    outside = run(*APPLY, NASTY, cwd=tmp_path, env=environment(tmp_path, simulator.url))

    for ran in (inside, outside):
        assert ran.code == 3, ran.said
        assert "line 3" in ran.err
        check_lines(ran)


def test_78_a_difference_of_many_kilobytes_is_cut_where_a_person_stops_reading(
    simulator: Running, tmp_path: Path
) -> None:
    keys = [f"k{at}" for at in range(20)]
    simulator.put(world(configs={key: f"{key} was " + "a" * 4000 for key in keys}))
    configs = "".join(f"    {key}: {key} is {'b' * 4000}\n" for key in keys)
    text = "".join(f"line {at} of a long text\n" for at in range(180))
    home = write(
        tmp_path / "f", fleet(f"  configs:\n{configs}    text: {{file: text.txt}}\n") | {"text.txt": text[:4096]}
    )
    env = environment(tmp_path, simulator.url)

    planned = run("plan", cwd=home, env=env)
    applied = run(*APPLY, cwd=home, env=env)

    for ran in (planned, applied):
        assert ran.code == 0, ran.said
        assert len(ran.out) < 20_000
        assert max(map(len, ran.out.splitlines())) < 400
    assert simulator.world["microvisor"]["configs"]["k7"] == "k7 is " + "b" * 4000
