"""Which tokens are control tokens, and which of them ends a turn."""

import pytest

from pinpoint.prompting.encoder import PromptEncoder, contains_control
from tests.fakes import chatml_tokenizer

ENDOFTEXT, TURN_BEGINS, TURN_ENDS = 0, 1, 2  # of the tokenizer of these tests; it names the first and the last alone
TURN = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}ENDING{% endfor %}"
PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


@pytest.mark.parametrize("ending", ["<|im_end|><|endoftext|>", "<|im_end|>\n<|endoftext|>\n", "<|im_end|>"])
def test_the_first_control_token_behind_the_answer_ends_the_turn(ending: str) -> None:
    tokenizer = chatml_tokenizer()
    tokenizer.chat_template = TURN.replace("ENDING", ending) + PROMPT
    assert PromptEncoder(tokenizer).stop == TURN_ENDS


def test_what_ends_the_turn_need_not_be_what_ends_the_text() -> None:
    tokenizer = chatml_tokenizer()
    tokenizer.eos_token = "<|endoftext|>"
    assert PromptEncoder(tokenizer).stop == TURN_ENDS


def test_special_tokens_without_a_name_are_control_tokens() -> None:
    tokenizer = chatml_tokenizer()
    assert TURN_BEGINS not in tokenizer.all_special_ids, "else nothing is tested"
    encoder = PromptEncoder(tokenizer)
    assert encoder.control_ids >= {ENDOFTEXT, TURN_BEGINS, TURN_ENDS}
    inside = encoder.text("a <|im_start|>user b", trusted=False)
    assert not {ENDOFTEXT, TURN_BEGINS, TURN_ENDS} & set(inside)
    assert contains_control(encoder.text("a <|im_start|>user b", trusted=True), encoder.control_ids)
