"""What the embedded model is trained with: its optimiser against torch's, and weights that are taken up again."""

import itertools
import json
import random
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pinpoint.checkpoints.sources import embedded_folder
from pinpoint.pipeline.packets import BOUNDARY, joints
from tests.numeric.sixteen_bits import save_embedded
from training import model, packets, predicates
from training.choices import Concept
from training.documents.case import Case
from training.documents.kind import Kind
from training.mix import mix
from training.muon import Muon
from training.rows import LESSONS, SHAPES


def test_matrices_taken_together_step_as_torch_steps_them_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((24, 16), (24, 16), (16, 40))
    ours, theirs = ([torch.ones(shape).requires_grad_() for shape in shapes] for _ in range(2))
    one = Muon(ours, lr=0.1, weight_decay=0.5)
    other = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.5, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for left, right in zip(ours, theirs, strict=True):
            left.grad = torch.randn(left.shape, generator=generator)
            right.grad = left.grad.clone()
        one.step()
        other.step()  # type: ignore[no-untyped-call]
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-2, atol=5e-3)
        assert not torch.allclose(left, torch.ones_like(left), atol=1e-4)


def test_the_embedded_model_is_taken_up_and_exported_as_it_was(tmp_path: Path) -> None:
    tokens = json.loads((embedded_folder() / "config.json").read_text())["vocab_size"]
    params = model.init(tokens, 1, torch.device("cpu"))
    model.take_up(params, embedded_folder())
    model.export(params, model.config(tokens, 2048, 0, 1, 2), tmp_path / "again")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "again", dtype=torch.bfloat16).state_dict()
    stored = load_file(save_embedded(tmp_path / "stored") / "model.safetensors")
    for name, value in stored.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=0, msg=name)


def test_joints_are_those_that_the_product_asks_about() -> None:
    rng = random.Random(3)
    kind = Kind("letter", "", ("letter",), ("a letter",), lambda rng: "")
    pages = next(found for _ in range(50) if len(found := packets.paged(rng, kind, Case(rng))) > 1)
    asked = [text for _, text in joints(pages)]
    assert packets.within(pages) == asked
    answers = [example.answer for example in packets.boundary_choice(rng, 400).examples]
    assert 0.4 < sum(answers) / len(answers) < 0.6


def test_a_mixture_lies_a_share_of_the_way_between_two_checkpoints(tmp_path: Path) -> None:
    shutil.copytree(embedded_folder(), tmp_path / "after")
    stored = load_file(tmp_path / "after" / "model.safetensors")
    for name in stored:
        if name.endswith("scale"):
            stored[name] *= 3.0
    save_file(stored, tmp_path / "after" / "model.safetensors", metadata={"format": "pt"})
    mix(embedded_folder(), tmp_path / "after", tmp_path / "mixed", share=0.25)
    mixed = load_file(tmp_path / "mixed" / "model.safetensors")
    assert torch.equal(mixed["model.norm.weight"], stored["model.norm.weight"])
    name = "model.layers.3.self_attn.o_proj"
    before = stored[f"{name}.weight"].float() * stored[f"{name}.scale"][:, None] / 3.0
    torch.testing.assert_close(mixed[f"{name}.weight"].float(), 1.5 * before, rtol=2**-8, atol=0)
    assert (tmp_path / "mixed" / "tokenizer.json").exists()


def _concept(name: str, text: str = "") -> Concept:
    return Concept(
        f"document:{name}", lambda rng: text, lambda rng: name, lambda rng: name, lambda rng: f"tells of {name}"
    )


def test_a_predicate_is_about_what_the_text_is_when_yes_is_right() -> None:
    right, wrong, found = _concept("alpha"), [_concept("beta"), _concept("gamma")], Counter[tuple[str, bool]]()
    turned = {form.format(a=f"{article} {name}", k=name).lower() for form in predicates.TURNED["document"]
              for article, name in (("an", "alpha"), ("a", "beta"), ("a", "gamma"))}  # fmt: skip
    for seed in range(600):
        task, holds = predicates.predicate(random.Random(seed), right, wrong, "gulls over Dover", "gulls over Calais")
        said, yes = task.labels[0].name.lower(), (task.criteria[0] or "").lower()
        if "alpha" not in said + yes and not re.search("beta|gamma", said + yes):
            sort, about = "mention", re.search("gulls|dover", said) is not None
        elif said in turned:
            sort, about = "turned", "alpha" not in said
        else:
            sort, about = "plain", "alpha" in said + yes
        assert about == holds, (seed, said, task.criteria)
        found[sort, holds] += 1
        assert task.multi_label and task.kind == "yes_no"
    assert all(found[sort, holds] > 5 for sort in ("mention", "turned", "plain") for holds in (False, True))
    assert 0.42 < sum(count for (_, holds), count in found.items() if holds) / 600 < 0.58


def test_no_lesson_leaves_no_room_for_lists_of_labels() -> None:
    assert set(LESSONS) == {length for length, *_ in SHAPES}
    assert all(0 < sum(shares.values()) < 0.7 for shares in LESSONS.values())


def test_a_document_begins_where_another_ends_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [BOUNDARY.labels[place].id for place in (packets.BEGINS, packets.GOES_ON)] == ["begins", "goes on"]
    names = itertools.cycle("AB")

    def paged(rng: random.Random, kind: object, case: object) -> list[str]:
        name = next(names)
        return [f"page {number} of document {name}, which is long enough" for number in (1, 2, 3)]

    monkeypatch.setattr(packets, "paged", paged)
    for seed in range(20):
        found = packets.packet_joints(random.Random(seed))
        asked = [re.findall(r"page (.) of document (.)", example.text) for example in found]
        assert [example.answer for example in found] == [packets.BEGINS, *[packets.GOES_ON] * (len(found) - 1)]
        assert asked[0] == [("3", "A"), ("1", "B")] and len(found) > 1
        assert all(int(one[0]) + 1 == int(two[0]) and one[1] == two[1] for one, two in asked[1:])
