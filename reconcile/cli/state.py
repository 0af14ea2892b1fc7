"""`state list|show|pull|push|restore|copy|rm|mv|migrate|unprotect`: looks after the state. Nothing here asks an API."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import Any

import click

from reconcile.cli.advice import with_commands
from reconcile.cli.options import document_options, format_option, general_options, selections
from reconcile.cli.output import colored, complain, emit_json, put, say
from reconcile.cli.session import Session, run_session
from reconcile.core.address import Address
from reconcile.core.dump import dump_of, same_content
from reconcile.core.history import DONE, Changed
from reconcile.core.ports import Dump, Ended, Head
from reconcile.core.resource import Entry, moved
from reconcile.core.selection import Selectors, names_nothing
from reconcile.core.text import printable
from reconcile.errors import InvalidInput, Problem, Refused, StateError
from reconcile.files import NotRead, NotText, open_anywhere, text_of

address_argument = click.argument("address")
NO_STATE = "There is no state yet: the first apply makes it."
path_option = click.option("--path", "path", default=".", metavar="PATH", help="The fleet's directory.")


@click.group()
def state() -> None:
    """Look after the state: what was last applied."""


@state.command("list")
@click.argument("words", metavar="[PATH] [SEL]…", nargs=-1)
@document_options
@format_option("text", "json")
@general_options
def list_(words: tuple[str, ...], **given: Any) -> int:
    """The addresses that the state holds, or those that SEL names."""
    given["path"] = "."
    if words and Path(words[0]).exists():
        given["path"], words = words[0], words[1:]

    async def story(session: Session) -> int:
        addresses = [entry.address async for entries in await _chosen(session, words) for entry in entries]
        if given["format_"] == "json":
            emit_json(addresses)
        else:
            say(addresses)
            if await session.world.store.head() is None:
                complain([NO_STATE])
        return 0

    return run_session(given, story)


@state.command("show")
@click.argument("selection", metavar="SEL")
@path_option
@document_options
@format_option("text", "json")
@general_options
def show_(**given: Any) -> int:
    """What the state holds of what SEL names."""
    return show_state(given)


def show_state(given: dict[str, Any]) -> int:
    """The state, or a part of it, on standard output."""

    async def story(session: Session) -> int:
        from reconcile.render.json.results import state_json
        from reconcile.render.show import entry_text, state_header

        world, color = session.world, colored(sys.stdout)
        head = await world.store.head()
        chosen = await _chosen(session, [given["selection"]] if given.get("selection") else ())
        if given["format_"] == "json":
            emit_json(state_json([entry async for entries in chosen for entry in entries], head, world.types))
            return 0
        if head is None:
            say([NO_STATE])
            return 0
        say([state_header(head, color=color)])
        shown = False
        async for entries in chosen:
            for entry in entries:
                say(["", *entry_text(entry, color=color)])
                shown = True
        if not shown:
            say(["The state is empty."])
        return 0

    return run_session(given, story)


@state.command()
@click.argument("path", default=".")
@document_options
@general_options
def pull(**given: Any) -> int:
    """The whole state as JSON; it holds no secret."""

    async def story(session: Session) -> int:
        if await session.world.store.head() is None:
            fleet = session.world.document.fleet
            nothing = {"version": 2, "fleet": fleet, "lineage": None, "serial": 0, "run": None, "accounts": {}}
            emit_json({**nothing, "entries": [], "operations": [], "plans": []})
            return 0
        async for part in session.wired.store.pull():
            put(part)
        put("\n")
        return 0

    return run_session({**given, "moved": True}, story)


@state.command()
@click.argument("source", metavar="FROM")
@click.argument("destination", metavar="TO")
@path_option
@document_options
@general_options
def copy(source: str, destination: str, **given: Any) -> int:
    """Move this fleet's state to another place: each a path, a URL, or env:NAME; FROM is not used any more."""

    async def story(session: Session) -> int:
        from reconcile.workflow import move_state

        wired = session.wired
        async with AsyncExitStack() as both:
            here, there = (wired.store_at(text, name) for text, name in ((source, "FROM"), (destination, "TO")))
            for store in (here, there):
                both.push_async_callback(store.close)
            say(await move_state(session.world, here, there))
        return 0

    return run_session({**given, "moved": True}, story)


@state.command()
@click.argument("path", default=".")
@document_options
@general_options
def migrate(**given: Any) -> int:
    """Make what states need in a shared home, where whoever applies may not do that."""

    async def story(session: Session) -> int:
        await session.world.store.migrate()
        say([f"What states need is there: {printable(str(session.world.store))}"])
        return 0

    return run_session(given, story)


@state.command()
@click.argument("file", type=click.Path(dir_okay=False))
@path_option
@click.option("--force", is_flag=True, help="Also one of another lineage, or that is older: of a backup.")
@document_options
@general_options
def push(file: str, force: bool, **given: Any) -> int:
    """Put a state that was pulled in the place of this one, which is kept; nothing is sent."""

    async def story(session: Session) -> int:
        world = session.world
        pushed = _read_dump(file)
        if pushed.head.fleet != world.document.fleet:
            what = f"{file} is the state of the fleet {pushed.head.fleet!r}, and this is {world.document.fleet!r}"
            raise Refused(Problem(what, hint="Name the fleet that it is of with --path"))
        if not await _is_newer(session, file, pushed, force):
            say([f"The state is as {file} says."])
            return 0
        await _exchange(session, pushed, "state push", f"the state in {file}", force)
        return 0

    return run_session(given, story)


@state.command()
@click.argument("id", required=False)
@path_option
@document_options
@format_option("text", "json")
@general_options
def restore(id: str | None, **given: Any) -> int:
    """List the states that were replaced by push or restore, or bring the one of this ID back; nothing is sent."""

    async def story(session: Session) -> int:
        store = session.world.store
        kept = await store.kept()
        if id is None:
            if given["format_"] == "json":
                emit_json([asdict(one) for one in kept])
            elif not kept:
                say(["No state is kept: none was replaced."])
            else:
                say(
                    f"{one.id}  {one.at}  serial {one.serial}, {one.entries:,} entries, until {one.why}" for one in kept
                )
            return 0
        text = "".join([piece async for piece in store.pull(id)])
        if not text:
            raise InvalidInput(Problem(f"no state is kept under {id!r}", hint="`reconcile state restore` lists them"))
        try:
            dump = dump_of(text)
        except ValueError as wrong:
            raise StateError(Problem(f"the state {id} that is kept cannot be used: {wrong}")) from None
        await _exchange(session, dump, "state restore", f"the state of serial {dump.head.serial}", force=True)
        return 0

    return run_session(given, story)


def _read_dump(file: str) -> Dump:
    try:
        with open_anywhere(Path(file)) as opened:
            return dump_of(text_of(opened.read()))
    except (NotRead, NotText) as wrong:
        raise InvalidInput(Problem(f"{file} {wrong.why}", hint=wrong.hint)) from None
    except ValueError as wrong:
        raise InvalidInput(
            Problem(f"{file} cannot be pushed: {wrong}", hint="`reconcile state pull` prints one")
        ) from None


async def _is_newer(session: Session, file: str, pushed: Dump, force: bool) -> bool:
    """
    Whether a state is to be put in the place of the one that is here; False when that says the same.

    Raises:
        Refused: it is of another lineage, older, or another one of the same serial.
    """
    store = session.world.store
    head = await store.head()
    if head is None:
        return True
    here = f"the state here is of serial {head.serial}"
    wrong = None
    if pushed.head.lineage != head.lineage:
        wrong = f"{file} is of the lineage {pushed.head.lineage}, and the state here of {head.lineage}"
    elif pushed.head.serial < head.serial:
        wrong = f"{file} is of serial {pushed.head.serial}, and {here}"
    elif pushed.head.serial == head.serial:
        now = dump_of("".join([piece async for piece in store.pull()]))
        if same_content(pushed, now):
            return False
        wrong = f"{file} is of serial {head.serial} as the state here is, and says something else"
    if wrong is not None and not force:
        raise Refused(Problem(wrong, hint="If it is a backup that shall be used all the same: --force"))
    return True


async def _exchange(session: Session, dump: Dump, command: str, what: str, force: bool) -> None:
    """Replaces the state under the lease; what lands gets a serial above both."""
    from reconcile import workflow

    world = session.world
    before = await world.store.head()
    world.lineage = dump.head.lineage  # of one that is made now
    async with await workflow.lock(world, 0) as journal:
        head = await world.store.head()
        if before is not None and (head is None or (head.run, head.serial) != (before.run, before.serial)):
            raise Refused(Problem("another run wrote to the state meanwhile", hint="Look at it, and try again"))
        if not force and await world.store.unfinished():
            what_is_open = "the state here has operations of which no outcome is known"
            raise Refused(Problem(what_is_open, hint="Apply once more, which reads them back; or --force"))
        serial = max(dump.head.serial, head.serial if head is not None else 0) + 1
        about = replace(world.about, command=command, planned=len(dump.entries))
        landed = await world.store.replace(journal.lease, replace(dump, head=replace(dump.head, serial=serial)), about)
    kept = await world.store.kept()
    say([f"Now {what} counts, as serial {landed.serial}, with {len(dump.entries):,} entries."])
    if before is not None and before.serial:
        back = with_commands(f"`reconcile state restore {kept[0].id}`", session.given)
        say([f"What was there is kept: {back} brings it back."])


@state.command()
@click.argument("chosen", nargs=-1, required=True, metavar="SEL…")
@path_option
@document_options
@general_options
def rm(chosen: tuple[str, ...], **given: Any) -> int:
    """Forget resources, with what hangs on them; nothing is sent."""

    async def story(session: Session) -> int:
        entries = await _selected(session, chosen)
        if protected := [entry.address for entry in entries if entry.protect]:
            first = [f"`reconcile state unprotect {quote(address)}`" for address in protected[:3]]
            commands = ", ".join(first) + (" and so on" if len(protected) > 3 else "")
            raise Refused(
                Problem(
                    f"{', '.join(protected)}: protected",
                    hint=f"{commands}; or set `protect: false` and apply",
                )
            )
        under = await session.world.store.under([entry.address for entry in entries])
        drop = tuple(dict.fromkeys(entry.address for entry in (*entries, *under)))

        await _write(session, Ended("state rm", drop=drop))
        say([f"Removed {address}" for address in drop])
        return 0

    return run_session(given, story)


@state.command()
@click.argument("source", metavar="FROM")
@click.argument("destination", metavar="TO")
@path_option
@document_options
@general_options
def mv(source: str, destination: str, **given: Any) -> int:
    """Give a resource another address, with what hangs on it; nothing is sent."""

    async def story(session: Session) -> int:
        store = session.world.store
        entry, to = await _entry(session, source), Address.parse(destination)
        if to.type_path != entry.address.type_path:
            raise InvalidInput(Problem(f"{destination} is not a {entry.address.type_path}"))
        if await store.get([to]):
            raise InvalidInput(Problem(f"the state has {to} already", hint=f"`reconcile state rm {quote(to)}` first"))
        under = await store.under([entry.address])
        drop = tuple(old.address for old in (entry, *under))
        await _write(session, Ended("state mv", tuple(moved(entry, under, to)), drop))
        say([f"Moved {entry.address} to {to}" + (f", with {len(under)} under it" if under else "")])
        return 0

    return run_session(given, story)


@state.command()
@address_argument
@path_option
@document_options
@general_options
def unprotect(address: str, **given: Any) -> int:
    """Lift the protection that the state remembers of a resource."""

    async def story(session: Session) -> int:
        entry = await _entry(session, address)
        await _write(session, Ended("state unprotect", (replace(entry, protect=False),)))
        say([f"{entry.address} is not protected any more"])
        return 0

    return run_session(given, story)


async def _chosen(session: Session, texts: Sequence[str]) -> AsyncIterator[Sequence[Entry]]:
    """The entries that selections cover, or all, in batches. Raises InvalidInput for one that covers none."""
    return _once(await _selected(session, texts)) if texts else session.world.store.entries()


async def _once(entries: Sequence[Entry]) -> AsyncIterator[Sequence[Entry]]:
    yield entries


async def _selected(session: Session, texts: Sequence[str]) -> list[Entry]:
    """The entries that selections cover. Raises InvalidInput for one that covers none."""
    named = Selectors(selections(texts))
    found, left, known = [], set(named.texts), []
    async for entries in session.world.store.entries():
        for entry in entries:
            known.append(entry.address)
            if naming := set(named.naming(entry.address)):
                found.append(entry)
                left -= naming
    for text in named.texts:
        if text in left:
            raise names_nothing(text, "the state", known)
    return found


async def _entry(session: Session, text: str) -> Entry:
    address = Address.parse(text)
    found = (await session.world.store.get([address])).get(address)
    if found is None:
        known = [entry.address async for entries in session.world.store.entries() for entry in entries]
        raise names_nothing(address, "the state", known)
    return found


async def _write(session: Session, ended: Ended) -> Head:
    """One change of the state under the lease; it counts as a run, so that older plans are stale."""
    from reconcile import workflow

    world = session.world
    head = await world.store.head()
    async with await workflow.lock(world, 0) as journal:
        touched = dict.fromkeys((*ended.drop, *(entry.address for entry in ended.put)))
        about = replace(world.about, command=ended.operation, planned=len(touched))
        begun = await world.store.begin_run(
            journal.lease, head.accounts if head else {}, about, world.document.state.keep
        )
        at = world.env.now().isoformat(timespec="seconds")
        told = (Ended("told", told=Changed(address, ended.operation, at)) for address in touched)
        await asyncio.gather(journal.write(ended), *map(journal.write, told))
        await world.store.end_run(journal.lease, begun.run or "", DONE, {DONE: len(touched)})
    after = await world.store.head()
    assert after is not None
    return after
