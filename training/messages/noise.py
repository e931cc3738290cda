"""What makes a rendered sentence look typed: greetings, joined clauses, lost punctuation, typos, label styles."""

import functools
import random

_VALUES = {
    "when": (
        "tomorrow|on friday|next week|this weekend|tonight|on monday morning|for the 14th|later today|"
        "next month|in two weeks|on june 3rd|this afternoon|for sunday|on the 2nd|before noon|by thursday"
    ),
    "ago": (
        "yesterday|last week|two days ago|this morning|on monday|a month ago|last friday|an hour ago|"
        "over the weekend|three weeks ago|last night|on the 5th|in march|ten minutes ago"
    ),
    "since": "since monday|since yesterday|for days|for two weeks now|since the weekend|all morning|since may",
    "city": (
        "rome|dallas|leeds|oslo|madrid|toronto|boston|vienna|lagos|osaka|perth|bristol|lyon|tampa|dublin|"
        "munich|seattle|cape town|mumbai|lisbon"
    ),
    "name": (
        "anna|mark|my sister|lucy|my boss|tom|priya|my husband|omar|grandma|carlos|jen|my flatmate|mr lee|"
        "my wife|dave|my mom|yuki|sam|the team"
    ),
    "num": "2|3|4|5|six|ten|12|20|50|100|two|three|7|15",
    "amount": "$40|20 euros|£15|$300|1,200 dollars|75 bucks|£9.99|$5|80 euros|two hundred dollars",
    "clock": "8|7 am|noon|half past nine|3 pm|6:30|10 tonight|sunrise|five o'clock|21:00",
}  # options, separated by bars

_OPENERS = (
    "hi, |hello, |hey, |hi there, |good morning, |hey there |hello there. |good evening, |ok so |so |"
    "um, |well, |right, |quick question, |quick one: |sorry to bother you but |just wondering, |ok |"
    "excuse me, |listen, |please help, |dear team, |morning! |hi guys, |another thing: |one more thing, |"
    "hope you can help. |i need some help. |not sure who to ask but |tell me, |question: "
)
_CLOSERS = (
    " thanks| thank you| please| pls| thx| cheers| many thanks|, thank you very much| thanks in advance|"
    " - can you help|, any idea|. please let me know|. let me know asap|. please advise|"
    ". any help appreciated|, if that's ok| if possible| right now|, i'm in a hurry| lol|. appreciate it"
)
_JOINS = ". |. |. |, |, | - |; |... | and "
_KEYS = dict(zip("aeiotnsrlcud", "sropymdtkvif", strict=True))  # the neighbour on the keyboard
_SHORTHAND = (("you", "u"), ("are", "r"), ("please", "pls"), ("because", "cuz"), ("thanks", "thx"), ("your", "ur"))

TYPO_SHARE = 0.06


def value(rng: random.Random, slot: str) -> str:
    """A filler for a slot that is not about the thing; KeyError for an unknown slot."""
    return _pick(rng, _VALUES[slot])


def _pick(rng: random.Random, options: str) -> str:
    return rng.choice(_split(options))


@functools.cache
def _split(options: str) -> tuple[str, ...]:
    return tuple(options.split("|"))


def join(rng: random.Random, first: str, second: str) -> str:
    """Two clauses in one utterance."""
    if first[-1] in "?!.":
        return f"{first} {second}"
    return f"{first}{_pick(rng, _JOINS)}{second}"


def message_style(rng: random.Random, text: str, wrap: bool = True) -> str:
    """The text as somebody would type it; `wrap` allows a greeting before and a courtesy after it."""
    draw = rng.random()
    question = text.endswith("?")
    if wrap and draw < 0.17:
        text = _pick(rng, _OPENERS) + text
    elif wrap and draw < 0.29:
        text = text.rstrip("?.!") + _pick(rng, _CLOSERS) + ("?" if question and rng.random() < 0.3 else "")
    text = _case_and_stops(rng, text)
    if rng.random() < TYPO_SHARE:
        text = _typo(rng, text)
    if rng.random() < 0.03:
        plain, short = rng.choice(_SHORTHAND)
        text = " ".join(short if word == plain else word for word in text.split(" "))
    return text


def _case_and_stops(rng: random.Random, text: str) -> str:
    draw = rng.random()
    if draw < 0.55:
        return text.rstrip("?.!")
    if draw < 0.62:
        return text.replace("'", "").replace(",", "").rstrip("?.!")
    if draw < 0.75:
        return text
    if draw < 0.98:
        text = ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))
        text = " ".join("I" + word[1:] if word == "i" or word.startswith("i'") else word for word in text.split(" "))
        return text if text[-1] in "?!." or rng.random() < 0.3 else text + "."
    return text.upper()


def _typo(rng: random.Random, text: str) -> str:
    words = text.split(" ")
    long_words = [index for index, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long_words:
        return text
    index = rng.choice(long_words)
    word = words[index]
    place = rng.randrange(1, len(word) - 1)
    draw = rng.random()
    if draw < 0.35:
        word = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    elif draw < 0.65:
        word = word[:place] + word[place + 1 :]
    elif draw < 0.85:
        word = word[:place] + word[place] + word[place:]
    else:
        word = word[:place] + _KEYS.get(word[place], word[place]) + word[place + 1 :]
    words[index] = word
    return " ".join(words)


def label_style(rng: random.Random, text: str) -> str:
    """The label as a programmer, a form or a plain list would write it."""
    draw = rng.random()
    if draw < 0.72:
        return text
    bare = text.replace("'", "").replace(",", "")
    if draw < 0.82:
        return bare.replace(" ", "_")
    if draw < 0.92:
        return text[:1].upper() + text[1:]
    if draw < 0.95:
        return text.title().replace("'S", "'s")
    if draw < 0.98:
        return bare.replace(" ", "-")
    return bare.upper().replace(" ", "_")
