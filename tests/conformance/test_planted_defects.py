"""Each check of the conformance suite passes a healthy type, and fails one with that defect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from signs import ENTRY, OTHER, SignAccount, case_of, server, signage

from reconcile.conformance import Case
from reconcile.conformance.bench import Lab
from reconcile.conformance.checks import CHECKS, Check
from reconcile.conformance.collect import checks_of
from reconcile.conformance.subject import Subject
from reconcile.provider import BadAnswer, InvalidInput, Lifecycle, Mark, Observed, Page, Problem, Reading

SignType = signage.SignType


# -- healthy types, for what signs as they are do not have -------------------------------------------------------------


class SizedSign(signage.Sign):  # type: ignore[misc,name-defined]
    size: Annotated[str, Mark.IMMUTABLE] | None = None


class Sized(SignType):  # type: ignore[misc,valid-type]
    """Signs of a size that nobody can change."""

    Model = SizedSign

    def observed(self, sign: Any) -> Observed:
        seen = super().observed(sign)
        return replace(seen, attrs={**seen.attrs, "size": sign.get("size")})


class Kept(SignType):  # type: ignore[misc,valid-type]
    """Signs that are made and never deleted."""

    def lifecycle(self, attrs: Any) -> Lifecycle:
        return Lifecycle(create=True, delete=False, on_removal="forget")


class Screwed(Kept):
    """Signs that hang on the wall: neither made nor deleted."""

    def lifecycle(self, attrs: Any) -> Lifecycle:
        return Lifecycle(create=False, delete=False, on_removal="forget")


class Wall(SignAccount):
    """What hangs on the wall already."""

    def __init__(self, signs: Any) -> None:
        super().__init__(signs)
        for key in ("one", *(f"one-{number}" for number in range(1, 5))):
            self.add(key)


class OneNameForMany(SignType):  # type: ignore[misc,valid-type]
    """Signs of a server that keeps no name unique."""

    names = "shared"


class Names(server.Signs):  # type: ignore[misc,name-defined]
    """A server where two signs may have one name."""

    def made(self, sign: dict[str, Any]) -> tuple[int, Any]:
        self.signs.append(sign)
        return 201, self.shown(sign)


class NamesTwice(SignAccount):
    Server = Names


# -- the defects -------------------------------------------------------------------------------------------------------


class MoreFields(SignType):  # type: ignore[misc,valid-type]
    class Model(signage.Sign):  # type: ignore[misc,name-defined]
        colour: str | None = None


class DropsAField(SignType):  # type: ignore[misc,valid-type]
    async def create(self, api: Any, at: Any, attrs: Any) -> Observed:
        return await super().create(api, at, {name: attrs[name] for name in attrs if name != "brightness"})


class ListsInCapitals(SignType):  # type: ignore[misc,valid-type]
    async def listing(self, api: Any, parent: Any) -> Any:
        async for page in super().listing(api, parent):
            members = [replace(seen, attrs={**seen.attrs, "text": seen.attrs["text"].upper()}) for seen in page.members]
            yield Page(members, page.now)


class ReadsOnePage(SignType):  # type: ignore[misc,valid-type]
    async def listing(self, api: Any, parent: Any) -> Any:
        async for page in super().listing(api, parent):
            yield page
            return


class SendsWhatNobodyAsked(SignType):  # type: ignore[misc,valid-type]
    async def update(self, api: Any, at: Any, patch: Any) -> Observed:
        return await super().update(api, at, {"brightness": 50, **patch})


class MakesASecondOfItsName(Sized):
    """Says that the server takes two of one name, so that another one is made where a size cannot be changed."""

    names = "shared"


class DeletesNothing(SignType):  # type: ignore[misc,valid-type]
    async def delete(self, api: Any, at: Any) -> None:
        return


class BelievesTheState(SignType):  # type: ignore[misc,valid-type]
    def view(self, seen: Any, prior: Any, now: Any) -> Any:
        view = super().view(seen, prior, now)
        return view if prior is None else replace(view, attrs={**view.attrs, "brightness": prior.attrs["brightness"]})


class FindsWhatIsGone(SignType):  # type: ignore[misc,valid-type]
    async def read(self, api: Any, at: Any) -> Reading:
        reading = await super().read(api, at)
        return (
            reading if reading.seen else Reading(Observed(at.name, {"text": "Open till 8", "brightness": 80}, at.name))
        )


class FindsWhatHangsNoMore(FindsWhatIsGone, Screwed):
    pass


class CountsWhatMoves(SignType):  # type: ignore[misc,valid-type]
    async def listing(self, api: Any, parent: Any) -> Any:
        total = None
        async for answer in api.pages("signs", params={"limit": 100}, next=lambda page: page.body["next"]):
            if total not in (None, answer.body["total"]):
                raise BadAnswer("there are not as many signs as there were")
            total = answer.body["total"]
            yield Page([self.observed(sign) for sign in answer.body["signs"]], answer.now)


class RepeatsWhatMakes(OneNameForMany):
    async def create(self, api: Any, at: Any, attrs: Any) -> Observed:
        answer = await api.send("POST", "signs", json={"name": at.name, **attrs}, idempotent=True)
        return self.observed(answer.body)


class FailsIfGone(SignType):  # type: ignore[misc,valid-type]
    async def delete(self, api: Any, at: Any) -> None:
        await api.send("DELETE", "signs", at.id, idempotent=True)


class ChangesByMakingAnew(FailsIfGone):
    async def update(self, api: Any, at: Any, patch: Any) -> Observed:
        seen = (await self.read(api, at)).seen
        await self.delete(api, at)
        return await self.create(api, at, {**seen.attrs, **patch})


class KnowsEveryField(SignType):  # type: ignore[misc,valid-type]
    def observed(self, sign: Any) -> Observed:
        if strange := set(sign) - {"name", "text", "brightness"}:
            raise BadAnswer(f"a sign with {', '.join(sorted(strange))}")
        return super().observed(sign)


class EncodesTwice(SignType):  # type: ignore[misc,valid-type]
    async def update(self, api: Any, at: Any, patch: Any) -> Observed:
        return self.observed((await api.send("PATCH", "signs", quote(at.id), json=patch, idempotent=True)).body)


class RemembersSecrets(SignType):  # type: ignore[misc,valid-type]
    async def create(self, api: Any, at: Any, attrs: Any) -> Observed:
        return replace(await super().create(api, at, attrs), facts={"pin": attrs["pin"].reveal()})

    def facts(self, seen: Any, prior: Any = None) -> Any:
        return seen.facts


class TellsSecrets(SignType):  # type: ignore[misc,valid-type]
    async def update(self, api: Any, at: Any, patch: Any) -> Observed:
        try:
            return await super().update(api, at, patch)
        except Exception:
            told = {name: value.reveal() if name == "pin" else value for name, value in patch.items()}
            raise InvalidInput(Problem(f"the API does not take {told}")) from None


class ReadsWhatItAsksFor(SignType):  # type: ignore[misc,valid-type]
    async def read(self, api: Any, at: Any) -> Reading:
        reading = await super().read(api, at)
        return reading if reading.seen is None else replace(reading, seen=replace(reading.seen, id=at.id, name=at.name))


@dataclass(frozen=True)
class Plant:
    """A defect, the check that finds it and how, and the healthy type that passes it on the same server."""

    defect: Any
    check: str
    says: str
    healthy: Any = SignType
    account: type[SignAccount] = SignAccount
    sized: bool = False

    def case(self, rtype: Any) -> Case:
        if not self.sized:
            return case_of(rtype, self.account)
        return case_of(rtype, self.account, entry={**ENTRY, "size": "small"}, other={**OTHER, "size": "large"})


LOST_WHILE = "answers_that_are_lost_while_it_is"
GONE, LEAVES = "what_is_deleted_outside_is_made_again_or_an_error", "what_leaves_the_document_is_deleted_or_forgotten"
SECRETS = "no_secret_is_shown_or_kept"

PLANTS = [
    Plant(MoreFields, "the_case_sets_every_field", "no two values for colour"),
    Plant(DropsAField, "what_is_written_is_live_after_an_apply", "one is not what the document says"),
    Plant(ListsInCapitals, "a_second_plan_is_empty_and_a_second_apply_sends_nothing", "the plan is not empty"),
    Plant(ReadsOnePage, "what_is_live_already_is_taken_over_and_not_made_twice", "is live, and the plan says"),
    Plant(
        SendsWhatNobodyAsked,
        "a_field_changed_in_the_document_is_written_and_nothing_else",
        "text is changed in the document",
    ),
    Plant(
        MakesASecondOfItsName,
        "what_cannot_be_changed_is_replaced_or_refused",
        "cannot be changed, and the apply ends with",
        healthy=Sized,
        sized=True,
    ),
    Plant(DeletesNothing, LEAVES, "one is to be deleted"),
    Plant(
        BelievesTheState,
        "a_field_changed_outside_is_somebody_elses_and_is_put_back",
        r"brightness is changed, and the plan shows \[\]",
    ),
    Plant(SendsWhatNobodyAsked, "what_the_document_does_not_mention_is_left_alone", "and not only text"),
    Plant(FindsWhatIsGone, GONE, "was deleted outside, and the plan says nothing"),
    Plant(FindsWhatHangsNoMore, GONE, "is gone and cannot be made", healthy=Screwed, account=Wall),
    Plant(
        CountsWhatMoves,
        "pages_that_move_while_they_are_read_lose_and_double_nothing",
        "while the pages were read, one before them was removed",
    ),
    Plant(RepeatsWhatMakes, f"{LOST_WHILE}_made_or_adopted", "holds 'one' twice", OneNameForMany, NamesTwice),
    Plant(ChangesByMakingAnew, f"{LOST_WHILE}_changed", "is lost after the work: the apply gives up"),
    Plant(FailsIfGone, f"{LOST_WHILE}_deleted", "is lost after the work: the apply gives up"),
    Plant(KnowsEveryField, "unknown_fields_in_answers_change_nothing", "a sign with unknown_flag"),
    Plant(ReadsWhatItAsksFor, "an_answer_about_another_one_is_not_believed", "and something is sent"),
    Plant(EncodesTwice, "names_that_need_encoding_arrive_whole", "PATCH /signs/two%2520words"),
    Plant(RemembersSecrets, SECRETS, r"a secret is in fleet/state/conformance\.db"),
    Plant(TellsSecrets, SECRETS, "a secret is on the standard output of `apply`"),
]


def check_of(subject: Subject, name: str) -> Check:
    """The check of that name, which has to concern the type."""
    return next(check for check in checks_of(subject) if check.name == f"test_{name}")


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant.defect.__name__}-{plant.check}")
def test_a_planted_defect_is_found(plant: Plant, tmp_path: Path) -> None:
    for rtype, place in ((plant.healthy, "healthy"), (plant.defect, "planted")):
        subject = Subject(plant.case(rtype))
        with Lab(subject, tmp_path / place) as lab:
            if place == "healthy":
                check_of(subject, plant.check).run(lab)
                continue
            with pytest.raises(AssertionError, match=plant.says):
                check_of(subject, plant.check).run(lab)


def test_every_check_has_a_planted_defect() -> None:
    assert {f"test_{plant.check}" for plant in PLANTS} == {check.name for check in CHECKS}
