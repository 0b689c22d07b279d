"""What is kept of a history, what is cut, and when: by price, by use, and never within a group."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction

import pytest

from tuppence.errors import ConfigError
from tuppence.prune.history import (
    Batch,
    Clearing,
    Decisions,
    Emptying,
    HistoryPolicy,
    HistoryPruner,
    Proposal,
    PrunedHistory,
    Recovery,
    Rendered,
    View,
    fewest_tokens,
)
from tuppence.prune.history.groups import groups_of
from tuppence.request import Drop, Message, Replace, ToolCall, edited

from .history_suite import AUTOMATIC, MARKED, NO_CACHE

FLIGHTS = [
    {"flight": f"HAT{number}", "from": "JFK", "to": "SEA", "price": 100 + number} for number in range(101, 113)
]  # fmt: skip
ORDER = {"order_id": "W2417", "status": "open", "total": 42.1, "lines": [{"sku": "S-77", "name": "Rain boots"}]}


def asked(text: str) -> Message:
    return Message("user", text)


def said(text: str) -> Message:
    return Message("assistant", text)


def called(tool: str, arguments: object, result: str, *, id: str = "call_1") -> list[Message]:  # noqa: A002
    call = ToolCall(id, tool, json.dumps(arguments))
    return [Message("assistant", "", (call,)), Message("tool", result, extra={"tool_call_id": id})]


def a_choice(*after: Message) -> list[Message]:
    """A listing, of which one row is taken up, and what came after it."""
    return [
        Message("system", "You book flights."),
        asked("A flight from JFK to SEA, please."),
        *called("search", {"from": "JFK"}, json.dumps(FLIGHTS)),
        said("There are twelve; HAT101 is the cheapest and HAT102 the next."),
        asked("I take HAT107."),
        said("Good. What is your name?"),
        asked("Anna Berg."),
        *after,
    ]


def texts(messages: Sequence[Message], pruned: PrunedHistory) -> list[str]:
    return [message.text for message in edited(messages, pruned.edits)]


class TestGroups:
    """What belongs together."""

    def test_calls_and_all_their_results_are_one(self) -> None:
        """Parallel ones too, whatever their ids are."""
        calls = (ToolCall("a", "f", "{}"), ToolCall("a", "f", "{}"))
        messages = [asked("x"), Message("assistant", "", calls), Message("tool", "1"), Message("tool", "2"), said("y")]
        assert [(one.kind, one.start, one.stop) for one in groups_of(messages)] == [
            ("user", 0, 1), ("exchange", 1, 4), ("assistant", 4, 5),
        ]  # fmt: skip

    def test_a_users_turn_may_bring_a_result_first(self) -> None:
        """Anthropic's results come in a user's message, with words of the user's own behind them or without."""
        mixed = [{"type": "tool_result", "tool_use_id": "a", "content": "1"}, {"type": "text", "text": "And now?"}]
        call = Message("assistant", "", (ToolCall("a", "f", "{}"),))
        messages = [call, Message("user", "And now?", extra={"content": mixed})]
        assert [one.kind for one in groups_of(messages)] == ["exchange"]


class TestArrival:
    """Tool results are written shorter, without loss, from the first time on."""

    def test_a_table_says_its_names_once(self) -> None:
        """Every value stands in it."""
        written = fewest_tokens(json.dumps(FLIGHTS))
        assert written.count("price") == 1
        assert all(one["flight"] in written for one in FLIGHTS)

    @pytest.mark.parametrize(
        "text", ['{"n": 1.10, "m": [1, 2]}', '{"n": 0.12345678901234567890, "m": 1}', '{"n": -0, "m": [1, 2]}']
    )
    def test_numbers_keep_their_digits(self, text: str) -> None:
        """A number that would be spelt otherwise leaves the text in JSON."""
        assert fewest_tokens(text) == text.replace(" ", "")

    @pytest.mark.parametrize("text", ["", "no JSON", "{", "[]", "Error: {code} is unknown"])
    def test_other_texts_stay(self, text: str) -> None:
        """What is no JSON is not touched."""
        assert fewest_tokens(text) == text

    def test_it_needs_no_price_and_touches_results_alone(self) -> None:
        """A system message and a user's JSON stay as they are, in the current turn results are written shorter."""
        listing = json.dumps(FLIGHTS)
        messages = [Message("system", listing), asked(listing), *called("search", {}, listing)]
        pruned = HistoryPruner().prune(messages)
        assert [edit.index for edit in pruned.edits.messages] == [3]
        assert pruned.audit.by_kind().keys() == {"payload"}
        assert "no price is known" in pruned.why

    def test_a_writer_that_breaks_or_writes_more_is_gone_round(self) -> None:
        """The text goes as it came."""

        def broken(text: str) -> str:
            raise ValueError(text)

        messages = [asked("x"), *called("search", {}, json.dumps(FLIGHTS))]
        for writer in (broken, lambda text: text + text, lambda _text: ""):
            pruned = HistoryPruner(HistoryPolicy(arrival=writer)).prune(messages)
            assert texts(messages, pruned) == [one.text for one in messages]

    @pytest.mark.parametrize(
        "extra",
        [
            {"blocks": [[0, {"type": "image", "base64": "aGk="}]]},
            {"content": [{"type": "tool_result", "content": "1"}, {"type": "tool_result", "content": "2"}]},
            {"content": [{"type": "tool_result", "content": [{"type": "image", "source": {}}]}]},
        ],
    )
    def test_results_that_are_not_one_text_stay(self, extra: object) -> None:
        """Pictures, and several results in one message, could not be put back where they stood."""
        message = Message("tool", json.dumps(FLIGHTS), extra=extra)
        assert not HistoryPruner(price=NO_CACHE).prune([asked("x"), message]).edits


class TestClearing:
    """Old results lose what nothing needs."""

    def test_a_listing_keeps_the_row_that_was_taken_up(self) -> None:
        """Not those that the assistant merely repeated: they stand in its own words."""
        messages = a_choice()
        pruned = HistoryPruner(price=NO_CACHE).prune(messages, at=0.0)
        stub = texts(messages, pruned)[3]
        assert stub.startswith("[cleared ")
        assert "HAT107" in stub
        assert "HAT102" not in stub
        assert [cut.kind for cut in pruned.audit.cuts] == ["tool output"]
        assert pruned.audit.cuts[0].text == json.dumps(FLIGHTS)

    def test_the_turn_before_this_one_stays_whole(self) -> None:
        """A user is still choosing from it."""
        messages = a_choice()[:6]
        pruned = HistoryPruner(HistoryPolicy(arrival=None), price=NO_CACHE).prune(messages, at=0.0)
        assert not pruned.edits
        assert pruned.audit.kept_because == "clearing: nothing to gain"

    def test_what_a_later_result_repeats_goes(self) -> None:
        """Only what changed is left of the earlier one, and it says where the rest is."""
        new = {**ORDER, "status": "cancelled", "refund": 42.1}
        messages = [
            asked("Cancel W2417."), *called("get_order", {"id": "W2417"}, json.dumps(ORDER)),
            *called("cancel_order", {"id": "W2417"}, json.dumps(new)), said("Done."), asked("Thanks."),
        ]  # fmt: skip
        pruned = HistoryPruner(HistoryPolicy(arrival=None), price=NO_CACHE).prune(messages, at=0.0)
        stub = texts(messages, pruned)[2]
        assert "the later result of cancel_order repeats it" in stub
        assert "open" in stub
        assert "Rain boots" not in stub

    def test_two_objects_are_the_same_by_their_ids(self) -> None:
        """Another order with the same contents repeats nothing."""
        other = {**ORDER, "order_id": "W9999"}
        messages = [
            asked("x"), *called("get_order", {"id": 1}, json.dumps(ORDER)),
            *called("get_order", {"id": 2}, json.dumps(other)), said("y"), asked("z"),
        ]  # fmt: skip
        assert not HistoryPruner(HistoryPolicy(arrival=None), price=NO_CACHE).prune(messages, at=0.0).edits

    def test_a_list_within_an_object_is_no_listing(self) -> None:
        """What an object says of itself stays, however long a list in it is."""
        order = {**ORDER, "note": "n", "lines": FLIGHTS, "address": {"city": "Oslo"}}
        messages = [asked("x"), *called("get", {}, json.dumps(order)), said("y"), asked("z"), said("a"), asked("b")]
        assert not HistoryPruner(HistoryPolicy(arrival=None), price=NO_CACHE).prune(messages, at=0.0).edits

    def test_what_is_cleared_comes_back_by_its_id(self) -> None:
        """Within its tenant alone."""
        messages = a_choice()
        pruner = HistoryPruner(HistoryPolicy(strategies=(Clearing(recover_with="fetch"),)), price=NO_CACHE)
        stub = texts(messages, pruner.prune(messages, at=0.0, tenant="a"))[3]
        assert "; fetch brings it back]" in stub
        told = stub[len("[cleared ") :][:8]
        assert pruner.recovery.answer(told, scope="a") == json.dumps(FLIGHTS)
        assert pruner.recovery.answer(told, scope="b").startswith("No cleared tool output")


class TestEmptying:
    """For long work on one request: all but the last results go."""

    def test_lines_in_use_are_left(self) -> None:
        """A line of which a later call took something up stays."""
        log = "\n".join(f"2024-05-{day:02} server S-{day} up, nothing to report today" for day in range(1, 29))
        messages = [asked("Which server?"), *called("read", {}, log), *called("restart", {"server": "S-17"}, "ok")]
        policy = HistoryPolicy(strategies=(Emptying(keep_results=1),))
        stub = texts(messages, HistoryPruner(policy, price=NO_CACHE).prune(messages, at=0.0))[2]
        assert stub.splitlines()[1:] == ["2024-05-17 server S-17 up, nothing to report today"]

    def test_it_cannot_do_without_a_way_back(self) -> None:
        """What nobody used so far goes too."""
        with pytest.raises(ConfigError, match="recover_with"):
            Emptying(recover_with="")


class TestPrices:
    """The same history under several prices."""

    def test_a_warm_prefix_is_left_until_an_edit_pays(self) -> None:
        """One further call does not pay for writing what stands behind the cut; a thousand do."""
        before, after = a_choice(said("x " * 2000)), a_choice(said("x " * 2000), asked("And now?"))
        for expected, cuts in ((1, False), (1000, True)):
            pruner = HistoryPruner(HistoryPolicy(arrival=None), price=MARKED)
            pruner.prune(before, at=0.0, further_calls=0)
            pruned = pruner.prune(after, at=10.0, further_calls=expected)
            assert bool(pruned.edits) == cuts
            assert ("would lose" in pruned.why) != cuts
            assert (pruned.net is not None) == cuts
            assert pruned.saved_pico is not None
            assert (pruned.saved_pico < 0) == cuts  # the call that cuts pays for it

    def test_a_cold_prefix_is_cut_at_once(self) -> None:
        """After its lifetime all of it is written anew anyway."""
        before, after = a_choice(said("x " * 2000)), a_choice(said("x " * 2000), asked("And now?"))
        pruner = HistoryPruner(HistoryPolicy(arrival=None), price=MARKED)
        pruner.prune(before, at=0.0, further_calls=0)
        pruned = pruner.prune(after, at=301.0, further_calls=0)
        assert pruned.net is not None
        assert pruned.net.once_pico == 0

    def test_a_conversation_never_seen_is_taken_for_warm(self) -> None:
        """Somebody else, or this program before a restart, may have sent it."""
        messages = a_choice(said("x " * 2000), asked("And now?"))
        assert not HistoryPruner(HistoryPolicy(arrival=None), price=MARKED).prune(messages, at=0.0).edits

    def test_what_was_cut_stays_cut(self) -> None:
        """Later calls send the same bytes, at whatever price."""
        pruner = HistoryPruner(price=NO_CACHE)
        first = a_choice()
        sent = edited(first, pruner.prune(first, at=0.0).edits)
        later = [*first, said("Booked."), asked("And HAT103?"), said("Full."), asked("HAT104?")]
        pruned = pruner.prune(later, at=10.0, price=AUTOMATIC)
        assert edited(later, pruned.edits)[: len(sent)] == sent

    def test_a_price_may_come_with_the_call(self) -> None:
        """A ladder of models has several."""
        messages = a_choice()
        pruner = HistoryPruner(HistoryPolicy(arrival=None))
        assert not pruner.prune(messages[:6], at=0.0).edits
        assert pruner.prune(messages, at=1.0, price=NO_CACHE).edits


class TestFailingOpen:
    """Whatever breaks, the call goes on as it came."""

    def test_a_broken_strategy_leaves_the_messages(self) -> None:
        """The reason is in the audit."""

        class Broken:
            name = "broken"

            def proposals(self, view: View, standing: Sequence[Batch]) -> Sequence[Proposal]:
                raise RuntimeError("no luck")

            def rendered(self, view: View, batch: Batch) -> Rendered:
                raise RuntimeError("no luck")

        pruned = HistoryPruner(HistoryPolicy(strategies=(Broken(),)), price=NO_CACHE).prune(a_choice())
        assert not pruned.edits
        assert pruned.audit.kept_because == "pruning broke (RuntimeError: no luck)"

    def test_no_messages_are_no_error(self) -> None:
        """There is nothing to shorten."""
        assert HistoryPruner(price=NO_CACHE).prune([]).audit.kept_because == "there are no messages"

    def test_decisions_of_a_strategy_that_is_gone_are_passed_over(self) -> None:
        """A new policy reads an old file."""
        decisions, messages = Decisions(), a_choice()
        HistoryPruner(price=NO_CACHE, decisions=decisions).prune(messages, at=0.0)
        bare = HistoryPruner(HistoryPolicy(arrival=None, strategies=()), price=NO_CACHE, decisions=decisions)
        assert not bare.prune(messages, at=1.0).edits


class TestPolicies:
    """A configuration that cannot work is refused at once."""

    @pytest.mark.parametrize(
        ("make", "says"),
        [
            (lambda: Clearing(keep_turns=0), "keep_turns is 0"),
            (lambda: Emptying(keep_results=0), "keep_results is 0"),
            (lambda: HistoryPolicy(strategies=(Clearing(), Clearing())), "each name may come once"),
            (lambda: HistoryPolicy(pays_times=Fraction(1, 2)), "pays_times is 1/2"),
            (lambda: Recovery(max_chars=0), "max_chars is 0"),
        ],
    )
    def test_it_says_what_is_wrong(self, make: object, says: str) -> None:
        """The message names the value and the fix."""
        assert callable(make)
        with pytest.raises(ConfigError, match=says):
            make()


class TestRecovery:
    """Texts are held while there is room."""

    def test_the_oldest_go_first(self) -> None:
        """Reading one keeps it."""
        recovery = Recovery(max_chars=25)
        first, second = recovery.put("a" * 10), recovery.put("b" * 10)
        assert recovery.text(first) == "a" * 10
        recovery.put("c" * 10)
        assert recovery.text(second) is None
        assert recovery.text(first) == "a" * 10
        assert len(recovery) == 2


def test_edits_are_made_as_the_clients_make_them() -> None:
    """Neutral messages keep their calls and extras; what is left out is gone."""
    messages = [asked("x"), *called("f", {}, "long"), said("y")]
    pruned = edited(messages, type(HistoryPruner().prune(messages).edits)((Replace(2, "short"), Drop(3))))
    assert [one.text for one in pruned] == ["x", "", "short"]
    assert pruned[2].extra == {"tool_call_id": "call_1"}
