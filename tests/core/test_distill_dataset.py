"""From recorded traffic to a data set: what is learned from, what is left out and why, and what each call site's is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tuppence.distill import Dataset, Datasets, DistillError, Filters, Shares
from tuppence.distill.dataset.prompts import Prompts, versions_of
from tuppence.distill.dataset.scratch import Scratch
from tuppence.evidence.judging.judgements import Judgement
from tuppence.evidence.outcomes import OutcomesError

from .distill_traffic import DAY_S, START, SYSTEM, attempt, call, feedback, question, write

pytest.importorskip("rensa")

ALL = Shares(validation=0, calibration=0, test=0)


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    return tmp_path / "traffic.jsonl"


def kept(path: Path, **options: Any) -> list[str]:
    """Ids of the calls that are learned from, over all call sites."""
    with Datasets(path, shares=ALL, **options) as found:
        return sorted(row.call_id for one in found for row in one.rows())


def dropped(path: Path, **options: Any) -> dict[str, int]:
    with Datasets(path, shares=ALL, **options) as found:
        reasons: dict[str, int] = {}
        for one in found:
            for reason, calls in one.dropped.items():
                reasons[reason] = reasons.get(reason, 0) + calls
        return reasons


TOOL = {
    "type": "function",
    "function": {
        "name": "book",
        "parameters": {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]},
    },
}
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}


def asks(arguments: str) -> dict[str, Any]:
    return {"text": "", "tool_calls": [["c1", "book", arguments]], "finish": "tool_calls"}


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("no answer", call(1, attempts=[attempt("large", "x", "failed")])),
        ("cached", call(1, attempts=[attempt("cache", "x", "hit", cause="hit")])),
        (
            "best draft",
            call(1, attempts=[attempt("large", "card", score=0.2), attempt("top", "", "failed", cause="escalation")]),
        ),
        ("truncated", call(1, attempts=[attempt("large", "It is the ca", finish="length")])),
        ("refusal", call(1, attempts=[attempt("large", "I'm sorry, but I can't help with that.")])),
        ("refusal", call(1, attempts=[attempt("large", "card", finish="content_filter")])),
        ("empty", call(1, attempts=[attempt("large", "  ")])),
        ("other tier", call(1, attempts=[attempt("small", "card")])),
        ("invalid tool call", call(1, attempts=[attempt("large", "", reply=asks('{"seats": "two"}'))], tools=[TOOL])),
        ("invalid tool call", call(1, attempts=[attempt("large", "", reply=asks('{"seats": 2}'))], tools=[])),
        ("invalid JSON", call(1, attempts=[attempt("large", "card")], schema=SCHEMA)),
        ("media", call(1, messages=[{"role": "user", "text": "What is it?", "media": ["vision"]}])),
        ("built-in tools", call(1, tools=[{"type": "web_search"}])),
        ("tool results", call(1, messages=[{"role": "user", "text": "Hm?"}, {"role": "tool", "text": "4"}])),
    ],
)
def test_an_answer_that_would_teach_something_wrong_is_left_out(
    traffic: Path, reason: str, line: dict[str, Any]
) -> None:
    """Each under its own reason, and nothing else with it."""
    write(traffic, [line, call(2), call(3)])
    assert dropped(traffic, filters=Filters(teacher="large")) == {reason: 1}
    assert kept(traffic, filters=Filters(teacher="large")) == ["call-2", "call-3"]


def test_the_teacher_is_who_all_others_escalate_to(traffic: Path) -> None:
    """The small tier's accepted answers are not learned from; its rejected drafts are kept beside the better answer."""
    climbed = [attempt("small", "cash", "rejected"), attempt("large", "card", cause="escalation")]
    write(traffic, [call(1, attempts=[attempt("small", "card")]), call(2, attempts=climbed), call(3)])
    with Dataset.from_traffic(traffic, shares=ALL) as data:
        rows = {row.call_id: row for row in data.rows()}
        assert data.made.teacher == "large"
        assert data.dropped == {"other tier": 1}
    assert rows.keys() == {"call-2", "call-3"}
    assert [m["content"] for m in rows["call-2"].rejected] == ["cash"]


def test_without_a_ladder_the_teacher_must_be_named(traffic: Path) -> None:
    """The message says who answered how often; a name that nobody bears is refused likewise."""
    write(traffic, [call(1), call(2), call(3, attempts=[attempt("other", "card")])])
    with pytest.raises(DistillError, match=r"large \(2\), other \(1\).*name the teacher"):
        Datasets(traffic)
    with pytest.raises(DistillError, match="'huge' gave no accepted answer"):
        Datasets(traffic, filters=Filters(teacher="huge"))


def test_each_call_site_has_its_own_teacher(traffic: Path) -> None:
    """Programs use other models for other tasks; a site that does not tell is left out, and says so."""
    lines = [call(1, tags={"task": "a"}), call(2, tags={"task": "b"}, attempts=[attempt("other", "card")])]
    lines += [call(n, tags={"task": "c"}, attempts=[attempt(("large", "other")[n % 2], "card")]) for n in (3, 4)]
    with Datasets(write(traffic, lines), shares=ALL) as found:
        assert {one.name: one.made.teacher for one in found} == {"a": "large", "b": "other", "c": ""}
        assert found["c"].dropped == {"no single teacher": 2}


def test_users_and_judges_have_their_say(traffic: Path) -> None:
    """The latest feedback counts, wherever it stands in the file; what nobody judged stays unless that is asked for."""
    write(
        traffic,
        [feedback("call-1", 0.0, START + 9), call(1), call(2), feedback("call-2", 0.0, START), call(3), call(4),
         feedback("call-2", 1.0, START + 5)],
    )  # fmt: skip
    judged = [judgement("call-3", 3), judgement("call-4", 2), judgement("call-4", 4)]
    assert kept(traffic) == ["call-2", "call-3", "call-4"]
    assert kept(traffic, judged=judged) == ["call-2", "call-4"]
    assert kept(traffic, judged=judged, filters=Filters(only_judged=True)) == ["call-4"]
    assert kept(traffic, judged=judged, filters=Filters(judged_at_least=3, only_judged=True)) == ["call-3", "call-4"]
    assert kept(traffic, filters=Filters(only_rated=True)) == ["call-2"]
    assert dropped(traffic, judged=judged) == {"disliked": 1, "judged low": 1}


def judgement(call_id: str, grade: int) -> Judgement:
    return Judgement(
        call_id=call_id, at=START, tier="large", mode="rated", judge="j", instructions="i", status="scored",
        accuracy=grade,
    )  # fmt: skip


def test_any_condition_of_the_users_own_is_a_filter(traffic: Path) -> None:
    write(traffic, [call(1, tags={"tenant": "a"}), call(2, tags={"tenant": "b"})])
    filters = Filters(where=lambda one: one.request.tags["tenant"] == "b")
    assert (kept(traffic, filters=filters), dropped(traffic, filters=filters)) == (["call-2"], {"excluded": 1})


def test_every_text_is_redacted_and_a_broken_redaction_leaves_the_call_out(traffic: Path) -> None:
    """Nothing of the secret is in any row, in the template or among the reasons; tools stay as they were written."""
    secret = "4929-1234"

    def redact(text: str) -> str:
        if "unreadable" in text:
            raise ValueError(f"cannot read {text}")
        return text.replace(secret, "<card>")

    spoken = attempt("large", f"It is {secret}", reply=asks(f'{{"seats": 2, "card": "{secret}"}}'))
    draft = attempt("small", f"Is it {secret}?", "rejected")
    write(
        traffic,
        [
            call(1, f"My card {secret} is gone", system=f"Be brief, {secret}.", attempts=[draft, spoken], tools=[TOOL]),
            call(2, f"unreadable {secret}"), call(3),
        ],
    )  # fmt: skip
    with Datasets(traffic, redact=redact, filters=Filters(teacher="large"), shares=ALL) as found:
        told = json.dumps([[row.body().decode() for row in one.rows()] for one in found])
        told += repr([(one.template, one.dropped, one.name) for one in found])
    assert secret not in told
    assert "<card>" in told
    assert dropped(traffic, redact=redact, filters=Filters(teacher="large")) == {"redaction failed": 1}


def test_a_file_read_twice_counts_once(traffic: Path) -> None:
    write(traffic, [call(1), call(2), call(1)])
    with Datasets([traffic, traffic], shares=ALL) as found:
        assert (found.calls, found.repeated) == (2, 4)
        assert len(found.only()) == 2


def test_what_cannot_be_read_is_named(traffic: Path, tmp_path: Path) -> None:
    """File, line, cause and fix, as everywhere else."""
    write(traffic, [feedback("call-1", 1.0)])
    with pytest.raises(DistillError, match="holds no recorded call"):
        Datasets(traffic)
    with pytest.raises(OutcomesError, match="cannot be read"):
        Datasets(tmp_path / "none.jsonl")
    traffic.write_text('{"tuppence.traffic": 1}\nnot json\n', encoding="utf-8")
    with pytest.raises(OutcomesError, match="jsonl:1"):
        Datasets(traffic)


def test_a_broken_text_breaks_nothing(traffic: Path) -> None:
    """Lone surrogates, NULs and empty messages come out of real programs."""
    write(
        traffic,
        [
            call(1, "\ud800 broken \x00", call_id="\ud801", tags={"session": "\ud802"}),
            call(2, "", answer="\udfff"),
            call(3),
        ],
    )
    with Dataset.from_traffic(traffic, shares=ALL) as data:
        assert len(list(data.rows())) == 3
        assert data.template.versions


# -- repeats


def test_repeats_are_left_out_and_contradictions_told(traffic: Path) -> None:
    """The first row stays; a question that is nearly the same but answered otherwise is worth learning."""
    asked = (
        "Where is my new card, it has not come by post though I was told that it would be here by Monday at the latest"
    )
    write(
        traffic,
        [
            call(1, asked, "card"),
            call(2, asked.replace(", it", ",  it"), "card"),
            call(3, asked, "login"),
            call(4, f"{asked}!", "card"),
            call(7, f"{asked}?", "transfer"),
            call(5, "Please help me, I cannot log in any more", "login"),
            call(6, "Transfers to Norway take how long, roughly?", "transfer"),
        ],
    )  # fmt: skip
    with Dataset.from_traffic(traffic, shares=ALL) as data:
        assert [row.call_id for row in data.rows()] == ["call-1", "call-5", "call-6", "call-7"]
        assert data.dropped == {"duplicate": 1, "contradiction": 1, "near duplicate": 1}
        assert (data.prepared.prompts, data.prepared.contradicted) == (4, 1)


def test_a_long_template_does_not_make_everything_alike(traffic: Path) -> None:
    """Nor does a template that was edited midway, in the system prompt and around the question."""
    long = " ".join(f"Rule {n}: {question(n)} must never be told." for n in range(40))
    lines = [
        call(n, f"{long if n < 40 else long[:-600]}\n\nThe customer writes: {question(n)}\n\nLabel:",
             system=f"{long}{'' if n < 50 else ' Be brief.'} Today is {n // 24 + 1} March.")
        for n in range(80)
    ]  # fmt: skip
    with Dataset.from_traffic(write(traffic, lines), shares=ALL) as data:
        assert data.dropped == {}
        assert len(data) == 80


# -- call sites


def test_a_tag_names_a_call_site(traffic: Path) -> None:
    """Whatever its prompts are; several sites must be told apart by who asks for one."""
    lines = [call(n, system=f"Prompt number {n}, unlike all others {n * 31}", tags={"task": "sort"}) for n in range(5)]
    lines += [call(n, tags={"endpoint": "sum"}) for n in range(5, 8)]
    with Datasets(write(traffic, lines), shares=ALL) as found:
        assert [(one.name, len(one)) for one in found] == [("sort", 5), ("sum", 3)]
        with pytest.raises(DistillError, match=r"2 call sites .*sort \(5\), sum \(3\)"):
            found.only()
        with pytest.raises(DistillError, match="no call site 'sums'"):
            found["sums"]
    with Dataset.from_traffic(traffic, site="sum", shares=ALL) as data:
        assert len(data) == 3


def test_untagged_calls_are_told_apart_by_their_prompts(traffic: Path) -> None:
    """A date or a name makes no new site; of two prompts without a system message the beginning tells."""
    lines = [call(n, system=f"{SYSTEM}\nToday is 2026-03-{n % 28 + 1:02}, you serve {question(n)}.") for n in range(30)]
    sum_up, translate = "Sum up this letter in one sentence:\n", "Translate the text below into French, please:\n"
    lines += [call(n, f"{sum_up if n % 2 else translate}{question(n)}", system="") for n in range(30, 90)]
    lines += [call(n, system="") for n in range(90, 100)]
    with Datasets(write(traffic, lines), shares=ALL) as found:
        sites = {one.name: (len(one), one.template.question.text) for one in found}
    assert sites == {
        "you-sort-what-customers-of-a-bank-write": (30, "{…}"),
        "sum-up-this-letter-in-one": (30, "Sum up this letter in one sentence:\n{…}"),
        "translate-the-text-below-into-french": (30, "Translate the text below into French, please:\n{…}"),
        "calls": (10, "{…}"),
    }


def test_churn_of_a_prompt_is_reported(traffic: Path) -> None:
    """Versions with when they were in use; what changes by itself, such as a date, is none."""
    versions = [SYSTEM, f"{SYSTEM} Labels are in lower case.", f"{SYSTEM} Labels are in upper case, always."]
    lines = [
        call(n, system=f"{versions[n // 60]}\nNow: 2026-03-{n % 28 + 1:02} {n % 24}:00.", at=START + n * DAY_S / 6)
        for n in range(180)
    ]  # fmt: skip
    with Dataset.from_traffic(write(traffic, lines), shares=ALL) as data:
        template = data.template
    assert [one.calls for one in template.versions] == [60, 60, 60]
    assert [round((one.first_at - START) / DAY_S) for one in template.versions] == [0, 10, 20]
    assert template.changes == 2
    assert template.changes_a_month == pytest.approx(2 / (179 / 6) * 30)


def test_names_put_into_a_prompt_are_slots_and_an_edit_is_a_version(traffic: Path) -> None:
    """Also where every call has its own text, so that no wording comes twice."""
    first = "You write to {}, a customer of ours since years. Be kind, be brief, promise nothing, and sign as the bank."
    second = first.replace("promise nothing, and sign as the bank", "and end with the phone number of the help desk")
    lines = [call(n, system=(first if n < 60 else second).format(question(n))) for n in range(100)]
    with Dataset.from_traffic(write(traffic, lines), shares=ALL) as data:
        texts = [one.text for one in data.template.versions]
    assert [text.count("{…}") for text in texts] == [1, 1]
    assert "promise nothing" in texts[0]
    assert "help desk" in texts[1]
    assert not any(question(n) in text for text in texts for n in range(100))


def test_an_edit_is_found_among_thousands_of_texts_of_which_few_are_kept() -> None:
    """An even sample over the whole time is kept, so a late edit is in it; what came once and again is counted."""
    scratch = Scratch()
    try:
        prompts = Prompts(scratch)
        for n in range(5_000):
            ending = "promise nothing, sign as the bank." if n < 4_000 else "close with the number of the help desk."
            prompts.see(
                0, float(n), f"You write to {question(n)}. Be kind, be brief, stay with the facts, {ending}", ""
            )
            prompts.see(1, float(n), f"Now it is 2026-03-{n % 28 + 1:02}. Be brief.", "")
        prompts.close()
        counted = scratch.one("SELECT COUNT(*) FROM prompts WHERE family = 0")
        first, second = versions_of(scratch, 0)
        (only,) = versions_of(scratch, 1)
    finally:
        scratch.close()
    assert counted is not None
    assert counted[0] <= 512
    assert "promise nothing" in first.text
    assert 4_000 <= second.first_at <= 4_020
    assert (only.calls, only.first_at, only.last_at) == (5_000, 0.0, 4_999.0)


def test_the_template_of_a_data_set_has_a_name_of_its_own(traffic: Path) -> None:
    """The same program has the same name on other traffic, and another one as soon as its prompt changes."""
    names = []
    for first, system in ((0, SYSTEM), (50, SYSTEM), (50, f"{SYSTEM} In French.")):
        lines = [call(n, f"Customer: {question(n)}", system=system) for n in range(first, first + 40)]
        with Dataset.from_traffic(write(traffic, lines), shares=ALL) as data:
            names.append(data.template.name)
    assert names[0] == names[1] != names[2]


def test_rows_are_gone_from_disk_once_closed(traffic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts stay nowhere that the user did not ask for, also where reading fails."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with Datasets(write(traffic, [call(1)])):
        assert list(place.iterdir())
    assert not list(place.iterdir())
    with pytest.raises(DistillError):
        Datasets(write(traffic, [feedback("call-1", 1.0)]))
    assert not list(place.iterdir())
