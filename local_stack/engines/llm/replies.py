"""Everything the engine says that comes neither from the prompt nor from a tool."""

from __future__ import annotations

from local_stack.engines.llm.facts import label, spoken
from local_stack.engines.llm.results import ANYTHING_ELSE
from local_stack.engines.llm.schema import Kind, Slot, Tool

GOODBYE = "Thank you for calling. Goodbye!"
HOW_CAN_I_HELP = "How can I help you?"
WELCOME = f"You're welcome. {ANYTHING_ELSE}"
CANCELLED = f"All right, I've cancelled that. {ANYTHING_ELSE}"
DECLINED = f"All right. {ANYTHING_ELSE}"
GO_ON = "Sure. What can I do for you?"
TAKE_YOUR_TIME = "Of course, take your time."
I_HEAR_YOU = "Yes, I can hear you."
I_AM_A_MACHINE = "I'm an automated assistant, not a person. I can connect you to a person if you like."
CONNECTING = "One moment please, I'm connecting you to a person."
CANNOT_CONNECT = "I'm sorry, I can't connect you to a person right now. Would you like me to take a message?"
MESSAGE_NOTED = f"Thank you, I have noted your message. {ANYTHING_ELSE}"
ALREADY_DONE = f"That is what I have already. {ANYTHING_ELSE}"
WHAT_TO_CHANGE = "What should I change?"

UNKNOWN = (
    "I don't have that information. I can take a message or connect you to a person.",
    "I'm sorry, I don't know that either. Would you like me to take a message, or connect you to a person?",
    "I still can't answer that. Please say message to leave a message, or person to speak to someone.",
)
NOT_HEARD = (
    "Sorry, I didn't catch that.",
    "I'm sorry, I still didn't get that.",
    "I'm having trouble understanding. You can say never mind, or ask for a person.",
)

_HINTS = {
    Kind.DATE: "For example, tomorrow or next Tuesday.",
    Kind.WHEN: "For example, next Tuesday at two thirty pm.",
    Kind.TIME: "For example, two thirty pm.",
    Kind.DURATION: "For example, half an hour.",
    Kind.INTEGER: "A number, please.",
    Kind.NUMBER: "A number, please.",
    Kind.PHONE: "Please say the digits one by one.",
    Kind.EMAIL: "For example, anna at example dot com.",
    Kind.PERSON: "Your first and last name, please.",
    Kind.BOOLEAN: "Please say yes or no.",
}
_MOST_OPTIONS = 6


def nth(texts: tuple[str, ...], count: int) -> str:
    """The text for the n-th time in a row (1 is the first); the last one from then on."""
    return texts[min(max(count, 1), len(texts)) - 1]


def ask_again(slot: Slot, attempt: int) -> str:
    """Ask for a slot whose answer was not understood; with a hint from the second time on."""
    hint = f" {slot_hint(slot)}" if attempt > 1 else ""
    return f"{nth(NOT_HEARD, attempt)}{hint} {slot.question}".replace("  ", " ")


def slot_hint(slot: Slot) -> str:
    """What an answer may look like."""
    if slot.kind is Kind.CHOICE:
        texts = [spoken(option) for option in slot.options[:_MOST_OPTIONS]]
        return f"You can say {_either(texts)}."
    return _HINTS.get(slot.kind, "")


def read_back(tool: Tool, values: dict[str, object]) -> str:
    """Values before a call that has to be confirmed."""
    ordered = [slot.name for slot in tool.slots if values.get(slot.name) is not None]
    parts = ", ".join(f"{label(name)} {spoken(values[name])}" for name in ordered)
    return f"Let me confirm: {parts}. Is that right?" if parts else "Shall I go ahead?"


def abilities(tools: tuple[Tool, ...]) -> str:
    """What the agent can do, from its tools."""
    able = [tool for tool in tools if not tool.is_end_call and not tool.is_transfer]
    names = [_ability(tool) for tool in able[:_MOST_OPTIONS]]
    what = (
        f"I can answer questions and help you to {_either(names)}."
        if names
        else "I can answer your questions."
    )
    return f"{what} {HOW_CAN_I_HELP}"


def _ability(tool: Tool) -> str:
    sentence = tool.description.strip().split(".")[0].strip()
    return sentence[0].lower() + sentence[1:] if 0 < len(sentence) <= 80 else tool.words


def _either(texts: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
