"""What versions of the prompt are told apart by."""

import pytest

from bench import real
from bench.prompt_items import Item
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.prompts import SHORT_FORM_TASK, PromptBuilder
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.prompting.template import Version
from tests.numeric.conftest import Pair

ITEMS = [
    Item("known:0", "known", "Where is my parcel?", ("refund", "delivery", "complaint"), 1),
    Item("news:0", "news", "The match ended in a draw.", ("World", "Sports", "Business", "Sci/Tech", "Law", "Art"), 1),
    Item("known:1", "known", "Please pay me back.", ("delivery", "refund"), 1),
]


@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("budget", [1, 10_000])
def test_both_orders_of_labels_together_are_what_each_is_alone(
    small_mixtral: Pair, version: Version, budget: int
) -> None:
    scorer = Scorer(small_mixtral[0], 512)
    prompts = PromptBuilder(scorer.prompts.encoder, version)

    def alone(item: Item, names: tuple[str, ...]) -> dict[str, float]:
        forest = Forest()
        task = Task(SHORT_FORM_TASK, tuple(Label(str(place), name) for place, name in enumerate(names)))
        prompts.add(forest, task, prompts.document(item.text))
        with scorer.run(forest) as done:
            return dict(zip(names, done.scores[0].log_probs, strict=True))

    for item, one in zip(ITEMS, real.measure(scorer, ITEMS, version, budget), strict=True):
        assert one.item is item
        for names, found in ((item.labels, one.log_probs), (item.labels[::-1], one.again)):
            expected = alone(item, names)
            assert found == pytest.approx([expected[name] for name in item.labels], abs=1e-4)


def test_texts_and_labels_and_their_order_tell_measurements_apart() -> None:
    first, *rest = ITEMS
    other = Item(first.id, first.kind, first.text, first.labels[::-1], first.answer)
    assert len({real.digest(items) for items in (ITEMS, rest, [other, *rest])}) == 3
    assert real.digest(ITEMS) == real.digest(list(ITEMS))
