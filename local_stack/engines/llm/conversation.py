"""The state machine of one call: what the caller said, what was called, and what to say next."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local_stack.engines.llm import intents, replies
from local_stack.engines.llm.facts import Facts
from local_stack.engines.llm.form import Form, Stage, control_arguments
from local_stack.engines.llm.identity import person_name
from local_stack.engines.llm.prompt import CALLED, Answer, Prompt
from local_stack.engines.llm.results import ANYTHING_ELSE, Result, read_result
from local_stack.engines.llm.routing import Router, is_question
from local_stack.engines.llm.schema import Kind, Slot, Tool
from local_stack.engines.llm.slots import NO, YES, fill, loose_facts
from local_stack.engines.llm.text import Utterance, utterance


@dataclass(frozen=True)
class Say:
    """A reply in words."""

    text: str


@dataclass(frozen=True)
class CallTool:
    """A reply that calls a function."""

    name: str
    arguments: Mapping[str, object]


Reply = Say | CallTool

_OFFERS_MESSAGE = re.compile(r"\btake a message\b", re.IGNORECASE)
_ASKS_NAME = re.compile(r"(?i)\bname\b[^.]{0,40}\?$")
_OFFERS_MORE = re.compile(r"\banything else\b", re.IGNORECASE)
_NOTE_TO_SELF = Tool(
    "", "", (Slot("message", Kind.TEXT, "What message would you like to leave?", required=True),)
)
"""Used when no tool takes messages: the message then stands in the transcript and the summary."""
_LONG_DICTATION = 8
"""An answer to an open question with more words than this is content, not a command to the agent."""


class Conversation:
    """One call so far. Feed it messages in order; `hear` returns the reply to a caller's turn."""

    def __init__(self, prompt: Prompt, tools: tuple[Tool, ...]) -> None:
        self.prompt = prompt
        self.facts = Facts()
        self.form: Form | None = None
        self._tools = tools
        self._router = Router(tools, prompt.knowledge)
        self._last_call: tuple[Tool, dict[str, object]] | None = None
        self._agent_text = ""
        self._unknown = 0
        self._silences = 0
        self._handlers: tuple[Callable[[Utterance], Reply | None], ...] = (
            self._on_silence,
            self._on_repeat,
            self._on_transfer,
            self._on_goodbye,
            self._on_cancel,
            self._on_recall,
            self._on_form,
            self._on_offer,
            self._on_correction,
            self._on_small_talk,
            self._on_intent,
            self._on_finished,
            self._on_courtesy,
            self._on_unknown,
        )
        self._resume()

    # -- what happened ------------------------------------------------------------------------

    def hear(self, text: str) -> Reply:
        """The caller said something."""
        heard = utterance(text)
        if not is_question(heard):
            for key, value in loose_facts(heard).items():
                self.facts.note(key, value, firm=False)
        if not self._tools and self.form is None and _ASKS_NAME.search(self._agent_text):
            # Without the tools (a summary's request) the agent's question tells what a bare answer is.
            given = person_name(heard, asked=True)
            self.facts.note("name", given[1] if given else None, firm=False)
        reply = next(r for handler in self._handlers if (r := handler(heard)) is not None)
        if not (isinstance(reply, Say) and reply.text in replies.UNKNOWN):
            self._unknown = 0
        if isinstance(reply, Say):
            self._agent_text = reply.text
        return reply

    def said(self, text: str) -> None:
        """The agent said something; it may have been cut short by the caller."""
        if text.strip():
            self._agent_text = text.strip()

    def called(self, name: str, arguments: Mapping[str, object]) -> None:
        """A tool was called."""
        tool = self._tool(name)
        self.facts.note_fields(arguments)
        if tool is not None:
            self._last_call = (tool, dict(arguments))
        if self.form is not None and self.form.tool.name == name:
            self.form = None

    def result(self, name: str, content: str) -> Result:
        """A tool answered."""
        result = read_result(content)
        self.facts.note_fields(result.fields)
        self.facts.note_result(name, result.text or ("did not work" if result.failed else "done"))
        self._agent_text = self.after_result(name, result)
        return result

    def after_result(self, name: str, result: Result) -> str:
        """What to say about a tool's result."""
        tool = self._tool(name)
        if tool is not None and tool.is_end_call:
            return replies.GOODBYE
        if tool is not None and tool.is_transfer:
            return replies.CANNOT_CONNECT if result.failed else (result.text or replies.CONNECTING)
        return result.speech

    def nudge(self) -> str:
        """What to say when it is the caller's turn but a reply is wanted all the same."""
        return self._pending() or (self._agent_text and ANYTHING_ELSE) or self.prompt.greeting

    def _resume(self) -> None:
        """Take up what the summary says about turns that are no longer in the messages."""
        for key, value in self.prompt.summary_facts:
            if key.lower().startswith("result of "):
                self.facts.note_result(key[len("result of ") :].strip(), value)
            else:
                self.facts.note(key, value)
        for speaker, text in self.prompt.summary_lines:
            if speaker == CALLED:
                self.called(text, self.form.arguments() if self.form else {})
            elif speaker == "agent":
                self.said(text)
            else:
                self.hear(text)

    # -- replies to a caller's turn, tried in this order ----------------------------------------

    def _on_silence(self, heard: Utterance) -> Reply | None:
        if heard.tokens:
            self._silences = 0
            return None
        self._silences += 1
        return Say(f"{replies.nth(replies.NOT_HEARD, self._silences)} {self._pending()}".strip())

    def _on_repeat(self, heard: Utterance) -> Reply | None:
        if not intents.REPEAT.match(heard.text):
            return None
        return Say(self._agent_text or self.prompt.greeting)

    def _on_transfer(self, heard: Utterance) -> Reply | None:
        if self._dictating(heard) or not intents.TRANSFER.search(heard.text):
            return None
        tool = next((tool for tool in self._tools if tool.is_transfer), None)
        if tool is None:
            return Say(replies.CANNOT_CONNECT)
        return CallTool(tool.name, control_arguments(tool, heard))

    def _on_goodbye(self, heard: Utterance) -> Reply | None:
        if self._dictating(heard) or not intents.GOODBYE.search(heard.text):
            return None
        return self._end_call(heard)

    def _on_cancel(self, heard: Utterance) -> Reply | None:
        found = intents.CANCEL.search(heard.text)
        if self.form is None or found is None or self._dictating(heard):
            return None
        if "cancel" in found[0] and "cancel" in self.form.tool.words:
            return None
        self.form = None
        return Say(replies.CANCELLED)

    def _on_recall(self, heard: Utterance) -> Reply | None:
        if self._dictating(heard):
            return None
        recalled = self.facts.recall(heard)
        if recalled is None:
            return None
        answer = self._router.answer(heard)
        if answer is not None and answer.coverage >= (0.8 if recalled.known else 0.5):
            return None
        return Say(f"{recalled.text} {self._pending()}".strip())

    def _on_form(self, heard: Utterance) -> Reply | None:
        form = self.form
        if form is None:
            return None
        answer = self._router.answer(heard) if is_question(heard) and not self._dictating(heard) else None
        if answer is not None:
            return Say(f"{answer.text} {self._pending()}".strip())
        if not self._is_counter_question(form, heard):
            changed = form.hear(heard, self.prompt.today)
            if changed:
                self._note(form, changed)
                return self._advance(form)
        return self._without_values(form, heard)

    def _without_values(self, form: Form, heard: Utterance) -> Reply:
        """A turn that fills nothing: a yes or no, another request, a courtesy, or something not understood."""
        if form.stage is Stage.CONFIRMING and (YES.match(heard.text) or NO.match(heard.text)):
            return self._confirmed(form, yes=YES.match(heard.text) is not None)
        other = self._router.tool(heard)
        if other is not None and other.name != form.tool.name:
            return self._start(other, heard)
        courtesy = self._on_small_talk(heard) or self._on_courtesy(heard)
        return courtesy or self._not_understood(form, heard)

    def _on_offer(self, heard: Utterance) -> Reply | None:
        wants = intents.TAKE_MESSAGE.search(heard.text) is not None
        offered = _OFFERS_MESSAGE.search(self._agent_text) is not None
        if wants or (offered and YES.match(heard.text)):
            tool = next((tool for tool in self._tools if tool.takes_message), _NOTE_TO_SELF)
            return self._start(
                tool, utterance("") if wants and len(heard.tokens) <= _LONG_DICTATION else heard
            )
        if offered and (NO.match(heard.text) or intents.FINISHED.search(heard.text)):
            return Say(replies.DECLINED)
        return None

    def _on_correction(self, heard: Utterance) -> Reply | None:
        """The caller changes something right after the call was made: call again with the new value."""
        corrects = intents.CORRECTION.search(heard.text) and not intents.FINISHED.search(heard.text)
        if self._last_call is None or is_question(heard) or not corrects:
            return None
        tool, arguments = self._last_call
        if tool.is_end_call or tool.is_transfer or self._router.tool(heard) is not None:
            return None
        form = Form(tool, {k: v for k, v in arguments.items() if v is not None})
        changed = form.hear(heard, self.prompt.today)
        if not changed:
            return None
        if all(form.values[name] == arguments.get(name) for name in changed):
            return Say(replies.ALREADY_DONE)
        self.form = form
        return self._advance(form)

    def _on_intent(self, heard: Utterance) -> Reply | None:
        chosen = self._router.choose(heard)
        if isinstance(chosen, Answer):
            return Say(chosen.text)
        return self._start(chosen, heard) if chosen is not None else None

    def _on_finished(self, heard: Utterance) -> Reply | None:
        more = _OFFERS_MORE.search(self._agent_text) is not None
        if NO.fullmatch(heard.text) and not more:
            return Say(replies.DECLINED)
        if intents.FINISHED.search(heard.text) or (more and NO.match(heard.text)):
            return self._end_call(heard)
        if YES.match(heard.text) and len(heard.tokens) <= 3:
            return Say(replies.GO_ON if more else replies.HOW_CAN_I_HELP)
        return None

    def _on_small_talk(self, heard: Utterance) -> Reply | None:
        text, pending = heard.text, self._pending()
        name = self.prompt.agent_name
        who = f"I'm {name}, an automated assistant." if name else "I'm an automated assistant."
        answers = (
            (intents.HOW_ARE_YOU, "I'm doing well, thank you."),
            (intents.ARE_YOU_HUMAN, replies.I_AM_A_MACHINE),
            (intents.WHO_ARE_YOU, who),
            (intents.CAN_YOU_HEAR, replies.I_HEAR_YOU),
        )
        for pattern, answer in answers:
            if pattern.search(text):
                return Say(f"{answer} {pending or replies.HOW_CAN_I_HELP}")
        if intents.HOLD.match(text):
            return Say(replies.TAKE_YOUR_TIME)
        return Say(replies.abilities(self._tools)) if intents.WHAT_CAN_YOU_DO.search(text) else None

    def _on_courtesy(self, heard: Utterance) -> Reply | None:
        pending = self._pending()
        if intents.THANKS.match(heard.text):
            return Say(f"You're welcome. {pending}" if pending else replies.WELCOME)
        if intents.GREETING.match(heard.text):
            return Say(f"Hello! {pending or replies.HOW_CAN_I_HELP}")
        name = loose_facts(heard).get("name")
        if name is None and _ASKS_NAME.search(self._agent_text) and (given := person_name(heard, asked=True)):
            name = given[1]
            self.facts.note("name", name, firm=False)
        return Say(f"Thank you, {name}. {replies.HOW_CAN_I_HELP}") if name and not pending else None

    def _on_unknown(self, _heard: Utterance) -> Reply:
        self._unknown += 1
        return Say(replies.nth(replies.UNKNOWN, self._unknown))

    # -- forms ----------------------------------------------------------------------------------

    def _start(self, tool: Tool, heard: Utterance) -> Reply:
        """Open a form; what the caller said with the request and earlier fills it."""
        form = Form(tool)
        called_before = tool.name in self.facts.results
        summary = {} if called_before else {k.replace(" ", "_"): v for k, v in self.prompt.summary_facts}
        for slot in tool.slots:
            known = self.facts.about(*_FACT_KEYS[slot.kind]) if _is_callers_own(slot) else None
            text = summary.get(slot.name) or summary.get(slot.words) or known
            if text is not None:
                form.values |= {k: v for k, v in _from_fact(tool, slot, text).items() if k == slot.name}
        form.hear(heard, self.prompt.today)
        self.form = form
        self._note(form, set(form.values))
        return self._advance(form, opening="Sure. ")

    def _advance(self, form: Form, *, opening: str = "") -> Reply:
        """Ask for what is missing, or read back, or call."""
        form.attempts = 0
        form.asked = form.missing()
        if form.asked is not None:
            form.stage = Stage.FILLING
            return Say(opening + form.asked.question)
        if form.tool is _NOTE_TO_SELF:
            self.form = None
            return Say(replies.MESSAGE_NOTED)
        if form.tool.confirms_first:
            form.stage = Stage.CONFIRMING
            return Say(replies.read_back(form.tool, form.values))
        return CallTool(form.tool.name, form.arguments())

    def _confirmed(self, form: Form, *, yes: bool) -> Reply:
        return CallTool(form.tool.name, form.arguments()) if yes else Say(replies.WHAT_TO_CHANGE)

    def _not_understood(self, form: Form, heard: Utterance) -> Reply:
        form.attempts += 1
        if form.asked is None:
            repeated = replies.read_back(form.tool, form.values)
            return Say(f"{replies.nth(replies.NOT_HEARD, form.attempts)} {repeated}")
        if self._is_counter_question(form, heard):
            return Say(f"{replies.slot_hint(form.asked)} {form.asked.question}".strip())
        return Say(replies.ask_again(form.asked, form.attempts))

    def _is_counter_question(self, form: Form, heard: Utterance) -> bool:
        """Whether the caller asks back ("what do you mean", "which ones are there") instead of answering."""
        open_ended = form.asked is not None and form.asked.kind in {Kind.TEXT, Kind.CHOICE, Kind.PERSON}
        short = len(heard.tokens) <= _LONG_DICTATION
        return open_ended and short and heard.tokens[:1] in _WH_WORDS and not loose_facts(heard)

    def _note(self, form: Form, names: set[str]) -> None:
        for name in names:
            self.facts.note(name, form.values[name])

    def _pending(self) -> str:
        """The question that is still open, empty when there is none."""
        if self.form is None:
            return ""
        if self.form.asked is not None:
            return self.form.asked.question
        return replies.read_back(self.form.tool, self.form.values) if self.form.tool.confirms_first else ""

    def _dictating(self, heard: Utterance) -> bool:
        asked = self.form.asked if self.form is not None else None
        return asked is not None and asked.kind is Kind.TEXT and len(heard.tokens) > _LONG_DICTATION

    def _end_call(self, heard: Utterance) -> Reply:
        tool = next((tool for tool in self._tools if tool.is_end_call), None)
        return (
            CallTool(tool.name, control_arguments(tool, heard)) if tool is not None else Say(replies.GOODBYE)
        )

    def _tool(self, name: str) -> Tool | None:
        return next((tool for tool in self._tools if tool.name == name), None)


_WH_WORDS = frozenset({(word,) for word in ("what", "when", "where", "who", "why", "how", "which")})
_FACT_KEYS = {
    Kind.PERSON: ("name", "full_name", "customer_name", "caller_name", "guest_name", "patient_name"),
    Kind.PHONE: ("phone", "phone_number", "telephone", "callback_number"),
    Kind.EMAIL: ("email", "email_address"),
}


def _is_callers_own(slot: Slot) -> bool:
    return slot.names_the_caller or slot.kind in {Kind.PHONE, Kind.EMAIL}


def _from_fact(tool: Tool, slot: Slot, text: str) -> Mapping[str, object]:
    """A remembered value as if it had just been given in answer to the slot's question."""
    return fill(tool, utterance(text), asked=slot)
