"""What the embedded model is trained with: its optimiser against torch's, and weights that are taken up again."""

import json
import random
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from pinpoint.checkpoints.sources import embedded_folder
from pinpoint.pipeline.packets import joints
from tests.numeric.sixteen_bits import save_embedded
from training import model, packets
from training.documents.case import Case
from training.documents.kind import Kind
from training.muon import Muon


def test_matrices_taken_together_step_as_torch_steps_them_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((24, 16), (24, 16), (16, 40))
    ours, theirs = ([torch.ones(shape).requires_grad_() for shape in shapes] for _ in range(2))
    one = Muon(ours, lr=2e-3, weight_decay=0.05)
    other = torch.optim.Muon(theirs, lr=2e-3, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for left, right in zip(ours, theirs, strict=True):
            left.grad = torch.randn(left.shape, generator=generator)
            right.grad = left.grad.clone()
        one.step()
        other.step()  # type: ignore[no-untyped-call]
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4)
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
