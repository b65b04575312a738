"""Fixed phrases of a telephone call: what is understood without knowledge or tools.

All patterns run on normalised words (`Utterance.text`): lower case, contractions opened, no punctuation.
"""

from __future__ import annotations

import re

REPEAT = re.compile(
    r"^(?:(?:sorry|okay|i am sorry|excuse me|wait) )*(?:pardon|pardon me|come again|what|sorry|excuse me"
    r"|what (?:was that|did you (?:just )?say|were you saying)|i did not (?:catch|hear|get|understand) (?:that|you|it)"
    r"|(?:(?:can|could|would|will) you (?:please )?)?(?:please )?(?:repeat|say)"
    r"(?: (?:that|it|what you(?: just)? said|yourself|the question))?(?: (?:again|once more|one more time))?)"
    r"(?: please)?$"
)
_PERSON = (
    r"(?:human(?: being)?|person|real person|operator|representative|agent|someone|somebody|receptionist"
    r"|manager|supervisor|colleague|member of staff|staff)"
)
TRANSFER = re.compile(
    rf"\b(?:speak|talk|speaking|talking|chat)(?: (?:to|with))(?: \w+)? {_PERSON}\b"
    rf"|\b(?:transfer|connect|forward) (?:me|us|the call|my call)\b|\bput me through\b"
    rf"|\b(?:want|need|like|get me|give me)(?: to)?(?: (?:a|an|the|some))?(?: (?:real|live|actual))? "
    r"(?:human(?: being)?|operator|representative|real person|live person|live agent|actual person)\b"
    r"|^(?:(?:a|an|the) )?(?:real |live |actual )?"
    r"(?:human(?: being)?|operator|representative|agent|person)(?: please)?$"
)
_BYE = (
    r"(?:goodbye|bye|farewell|good ?night|have a (?:nice|good|great|lovely) (?:day|evening|one|weekend|time))"
)
GOODBYE = re.compile(
    rf"^(?:\w+ ){{0,8}}{_BYE}(?: (?:now|then|for now|bye))?$|^{_BYE}\b(?: \w+){{0,4}}$"
    r"|^(?:(?:okay|great|thanks|thank you|alright|well|good|perfect) )*see you(?: (?:later|then|soon|tomorrow))?$"
    r"|^(?:please )?(?:you can )?(?:hang up|end (?:the|this) call)(?: now)?(?: please)?$"
)
FINISHED = re.compile(
    r"\bthat (?:is|was|will be|would be) (?:all|it|everything)\b|\bnothing(?: else| more)?\b"
    r"|^(?:no|nope|nah)(?: no)*(?: (?:thanks|thank you|that is \w+|i am \w+|not (?:today|now|at the moment|really)"
    r"|it is (?:fine|okay)))*(?: (?:thanks|thank you)(?: very much)?)?$"
    r"|^(?:not really|i think (?:so|that is \w+)|i am (?:all )?(?:good|done|set|fine))(?: (?:thanks|thank you))?$"
)
CANCEL = re.compile(
    r"\bnever ?mind\b|\bforget (?:it|that|about it)\b|\bcancel (?:that|it|this)\b|^(?:please )?cancel(?: please)?$"
    r"|\b(?:scratch|drop) that\b|^(?:please )?stop(?: please)?$|\bi (?:have )?changed my mind\b|\bstart over\b"
    r"|\bdo not (?:want|need) (?:it|that|to) ?(?:any ?more)?"
)
CORRECTION = re.compile(
    r"^(?:no|nope|sorry|wait|oh|actually|hold on|hang on|i mean|i meant|rather)\b|\bactually\b|\bmake (?:it|that)\b"
    r"|\bi (?:mean|meant|said)\b|\bchange (?:it|that|the)\b|\binstead\b|\brather\b|\bnot \w+ but\b"
)
GREETING = re.compile(
    r"^(?:(?:hi|hello|hey|greetings|good (?:morning|afternoon|evening|day)|there|again|howdy)\b ?)+$"
)
GREETING_START = re.compile(r"^(?:(?:hi|hello|hey|good (?:morning|afternoon|evening|day))(?: there)? )+")
THANKS = re.compile(
    r"^(?:(?:okay|great|perfect|good|alright|all right|well|oh|lovely|yes|cool|fine) )*"
    r"(?:thanks|thank you|cheers|much appreciated)"
    r"(?: (?:so|very|much|a|lot|again|for|that|your|the|help|then|you))*$"
)
HOW_ARE_YOU = re.compile(r"\bhow (?:are you|is it going|do you do|are things)\b")
WHO_ARE_YOU = re.compile(
    r"\bwho (?:are you|is this|am i (?:speaking|talking) (?:to|with))\b|\b(?:what is|what was|tell me) your name\b"
)
ARE_YOU_HUMAN = re.compile(
    r"\b(?:are you|is this|am i (?:speaking|talking) (?:to|with)) (?:an? )?(?:real|actual|human|robot|bot|machine|ai|"
    r"computer|person|automated|recording)\b"
)
CAN_YOU_HEAR = re.compile(
    r"\b(?:can|do) you (?:still )?hear me\b|\bare you (?:still )?there\b"
    r"|\bis (?:any(?:body|one)|some(?:body|one)) there\b"
)
WHAT_CAN_YOU_DO = re.compile(
    r"\bwhat (?:can|do) you (?:do|help)\b|\bhow can you help\b|\bwhat are my options\b"
)
HOLD = re.compile(
    r"^(?:please )?(?:hold on|hang on|wait|one (?:moment|second|minute|sec)|just a (?:moment|second|minute|sec)"
    r"|give me (?:a|one) (?:moment|second|minute|sec))(?: \w+){0,3}$"
)
TAKE_MESSAGE = re.compile(r"\b(?:take|leave|pass on|send)\b.{0,30}\bmessage\b|^(?:a )?message(?: please)?$")

QUESTION = re.compile(
    r"^(?:(?:and|so|but|okay|well|also|sorry|oh|yes|um) )*(?:what|when|where|who|whose|why|how|which|do|does|did|is|are"
    r"|was|were|can|could|will|would|should|have|has|am)\b"
    r"|\b(?:wondering|wonder|tell me|do you know|can you tell me|want to know|know) "
    r"(?:if|whether|what|when|where|how|who|which|about)\b"
)
REQUEST = re.compile(
    r"\bi (?:would (?:like|love)|want|wanna|need|have to|am (?:looking|calling|trying|hoping))\b|\blet (?:me|us)\b"
    r"|^(?:(?:and|so|okay|well|hi|yes|oh) )*(?:can|could|may|might|would) (?:i|we|you) (?!tell|have any|explain)\b"
    r"|\bplease\b|\b(?:give|get|put) (?:me|us)\b|\b(?:like|want|need) to\b"
)
