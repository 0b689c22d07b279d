"""Conversations with tool results that are worth shortening."""

from __future__ import annotations

import json

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

ORDERS = json.dumps([{"id": f"ord-{n}", "city": "Porto", "amount": n * 3.5} for n in range(40)])
"""What a tool brought: long, and mostly of no more use a few turns later."""


def turn(number: int) -> list[BaseMessage]:
    """One question of a user's, with the tool that was called for it and the answer."""
    call = {"name": "orders", "args": {"page": number}, "id": f"c{number}", "type": "tool_call"}
    return [
        HumanMessage(f"List the orders of page {number}."),
        AIMessage("", tool_calls=[call]),
        ToolMessage(ORDERS, tool_call_id=f"c{number}"),
        AIMessage(f"Page {number}: ord-{number} is open."),
    ]


def talk(turns: int = 4, question: str = "What about ord-3?") -> list[BaseMessage]:
    asked = [message for number in range(turns) for message in turn(number)]
    return [SystemMessage("Be brief."), *asked, HumanMessage(question)]
