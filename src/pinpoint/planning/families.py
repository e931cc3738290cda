"""The families of models, one list for CPU and GPU: which are scored exactly, which are refused and why.

What a family is called is `model_type` in a model's config.json. One that is exact and has a layout is planned from its
configuration alone, before anything of it is here but that file; one without a layout is measured while it is loaded
(`engine/loading/measure.py`), as are families that stand nowhere here but that transformers knows. `docs/models.md` is
made of this list.

Torch-free, and no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pinpoint.planning.gemma4 import USUAL as GEMMA4
from pinpoint.planning.shape import ALL_PRECISIONS

RECURRENT = (
    "its layers carry a state from token to token, and a tree of spans would need that state forked wherever the tree "
    "branches, which is not done"
)
OWN_ATTENTION = "its attention is its own, and cannot be told which tokens of a tree of spans see which"
OWN_MASK = "its attention chooses by itself which tokens it sees, and what it chooses depends on the whole row"
ENCODER = "it has an encoder beside its decoder, and prompts are scored by a decoder alone"
NO_DECODER = "it is made to fill gaps in a text, not to continue one"

# What each layer may be said to be in `layer_types`: those that see tokens, not a state.
ATTENDING = frozenset({"full_attention", "sliding_attention", "chunked_attention"})


@dataclass(frozen=True, slots=True)
class Layout:
    """How a family's sizes follow from its configuration. A name in place of a yes or no is the field that says it.

    Attributes:
        layer_norms: vectors of the hidden size in a layer; with `norm_bias` each has another beside it.
        head_norms: of queries and keys: of one head's size, of all heads' ("width"), or by head ("heads").
        fused: projections that are one matrix.
        latent: keys and values come of a small vector, DeepSeek's way.
        gated: the feed-forward part has a gate.
        experts, per_token, expert_width: fields of a mixture.
        dense_first: field with the number of layers before the first with experts.
        shared_width, shared_count: field of the shared experts' width, or of how many times an expert's it is.
        shared_gate: the shared expert has a gate of one channel.
        expert_bias: router and experts have biases.
        sinks: each head has one score without a value.
        usual: what transformers takes a field for that a file leaves out, where that is not "no".
    """

    layer_norms: int = 2
    final_norm: bool = True
    norm_bias: bool = False
    head_norms: Literal["", "head", "width", "heads"] = ""
    head_norms_field: str = ""
    head_size: int = 0
    qkv_bias: bool | str = False
    output_bias: bool | str = False
    mlp_bias: bool | str = False
    tied: bool = False
    fused: frozenset[str] = frozenset()
    latent: bool = False
    gated: bool = True
    experts: str = ""
    per_token: str = "num_experts_per_tok"
    expert_width: str = "intermediate_size"
    dense_first: str = ""
    shared_width: str = ""
    shared_count: str = ""
    shared_gate: bool = False
    expert_bias: bool = False
    sinks: bool = False
    window: Literal["", "all", "some", "field"] = ""
    usual: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """One family.

    Attributes:
        name: as people say it.
        refused: why it cannot be scored exactly; empty for one that is.
        layout: how it is planned; None where loading measures it.
        precisions: what its weights can be held in.
        text: the family of its text model, where the parts beside that are counted as well (`towers.py`).
    """

    name: str
    refused: str = ""
    layout: Layout | None = None
    precisions: tuple[str, ...] = ALL_PRECISIONS
    text: str = ""

    @property
    def windows(self) -> str:
        """What its layers see of a prompt."""
        kinds = {"all": "all layers", "some": "some layers", "field": "where the configuration says so"}
        return kinds.get(self.layout.window, "none") if self.layout else "as measured"


def _layout(**more: Any) -> Layout:
    return Layout(**{"qkv_bias": "attention_bias", "output_bias": "attention_bias", **more})


_QWEN_MOE: dict[str, Any] = {"experts": "num_experts", "expert_width": "moe_intermediate_size", "window": "field"}
_DEEPSEEK: dict[str, Any] = {
    "latent": True, "experts": "n_routed_experts", "expert_width": "moe_intermediate_size",
    "dense_first": "first_k_dense_replace", "shared_count": "n_shared_experts",
    "usual": {"first_k_dense_replace": 3, "n_shared_experts": 1},
}  # fmt: skip
_BIASED = {"attention_bias": True}
# What the files of its models leave to the class.
_GEMMA3 = {
    "vocab_size": 262_208, "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 131_072,
}  # fmt: skip
_GEMMA: dict[str, Any] = {"tied": True, "head_size": 256}

# Exact, and measured at load.
_MEASURED = {
    "afmoe": "Trinity (AFMoE)", "apertus": "Apertus", "arcee": "Arcee", "bitnet": "BitNet",
    "cohere2_moe": "Command (MoE)",
    "cwm": "Code World Model", "dots1": "dots.llm1", "exaone_moe": "EXAONE (MoE)", "flex_olmo": "FlexOlmo",
    "glm4_moe_lite": "GLM 4.7 Flash", "gpt_bigcode": "StarCoder", "granite_swa": "Granite (windows)",
    "granitemoe_swa": "Granite MoE (windows)", "granitemoeshared": "Granite MoE (shared expert)", "helium": "Helium",
    "hunyuan_v1_dense": "Hunyuan", "hunyuan_v1_moe": "Hunyuan MoE", "hy_v3": "Hunyuan 3", "hyperclovax": "HyperCLOVA X",
    "internlm3": "InternLM 3", "iquestcoder": "IQuest-Coder", "jais2": "Jais 2", "laguna": "Laguna", "mellum": "Mellum",
    "mimo_v2_flash": "MiMo V2 Flash", "minicpm3": "MiniCPM 3", "nanochat": "nanochat", "persimmon": "Persimmon",
    "phi": "Phi 1, 2", "solar_open": "Solar Open", "vaultgemma": "VaultGemma", "youtu": "Youtu-LLM",
}  # fmt: skip
# Of text and images, as shipped; the part that sees is loaded and not used.
_SEEING = {
    "mistral3": "Mistral Small 3.1, 3.2, Ministral 3", "mistral4": "Mistral 4",
    "qwen2_vl": "Qwen 2 VL", "qwen2_5_vl": "Qwen 2.5 VL", "qwen3_vl": "Qwen 3 VL", "qwen3_vl_moe": "Qwen 3 VL MoE",
    "glm4v": "GLM 4.1V", "internvl": "InternVL 3", "llava": "LLaVA", "llava_next": "LLaVA-NeXT",
    "llava_onevision": "LLaVA-OneVision", "aya_vision": "Aya Vision", "cohere2_vision": "Command A Vision",
    "idefics3": "Idefics 3", "smolvlm": "SmolVLM", "kimi_k25": "Kimi K2.5", "phi4_multimodal": "Phi 4 multimodal",
}  # fmt: skip

# Sizes: each family's own modelling file in transformers 5.23.
EXACT: Mapping[str, Family] = {
    "llama": Family("Llama 2, 3", layout=_layout(mlp_bias="mlp_bias")),
    "mistral": Family("Mistral", layout=Layout(window="field")),
    "ministral": Family("Ministral", layout=Layout(window="some")),
    "ministral3": Family("Ministral 3 (text)", layout=Layout(head_size=128, window="field")),
    "mixtral": Family("Mixtral", layout=Layout(experts="num_local_experts", window="field")),
    "qwen2": Family("Qwen 2, 2.5", layout=Layout(qkv_bias=True, window="field")),
    "qwen3": Family("Qwen 3", layout=_layout(head_norms="head", head_size=128, window="field")),
    "qwen2_moe": Family(
        "Qwen 2 MoE",
        layout=Layout(
            qkv_bias="qkv_bias", shared_width="shared_expert_intermediate_size", shared_gate=True,
            usual={"qkv_bias": True}, **_QWEN_MOE
        ),
    ),
    "qwen3_moe": Family("Qwen 3 MoE", layout=_layout(head_norms="head", **_QWEN_MOE)),
    "gemma": Family("Gemma", layout=_layout(**_GEMMA)),
    "gemma2": Family("Gemma 2", layout=_layout(layer_norms=4, window="some", **_GEMMA)),
    "gemma3_text": Family(
        "Gemma 3 (text)", layout=_layout(layer_norms=4, head_norms="head", window="some", usual=_GEMMA3, **_GEMMA)
    ),
    "gemma3": Family("Gemma 3 (as shipped, with its vision tower)", text="gemma3_text"),
    "gemma4_text": Family("Gemma 4 (text)", layout=Layout(tied=True, window="some", usual=GEMMA4)),
    "gemma4": Family("Gemma 4 (as shipped, with its towers)", text="gemma4_text"),
    "gpt_oss": Family(
        "GPT-OSS",
        layout=_layout(
            head_size=64, experts="num_local_experts", expert_bias=True, sinks=True, window="some",
            output_bias="attention_bias", usual=_BIASED,
        ),
        precisions=("bf16",),
    ),
    "phi3": Family("Phi 3, 3.5, 4", layout=Layout(fused=frozenset({"qkv", "gate_up"}), window="field")),
    "olmo": Family("OLMo", layout=_layout(layer_norms=0, final_norm=False)),
    "olmo2": Family("OLMo 2", layout=_layout(head_norms="width")),
    "olmo3": Family("OLMo 3", layout=_layout(head_norms="width", window="some")),
    "olmoe": Family("OLMoE", layout=_layout(head_norms="width", experts="num_experts")),
    "granite": Family("Granite", layout=_layout(mlp_bias="mlp_bias")),
    "granitemoe": Family("Granite MoE", layout=_layout(experts="num_local_experts")),
    "cohere": Family(
        "Command R",
        layout=_layout(layer_norms=1, tied=True, head_norms="heads", head_norms_field="use_qk_norm"),
    ),
    "cohere2": Family("Command R7B, Command A", layout=_layout(layer_norms=1, tied=True, window="some")),
    "glm": Family(
        "GLM", layout=Layout(qkv_bias="attention_bias", head_size=128, fused=frozenset({"gate_up"}), usual=_BIASED)
    ),
    "glm4": Family(
        "GLM 4",
        layout=Layout(
            qkv_bias="attention_bias", head_size=128, layer_norms=4, fused=frozenset({"gate_up"}), usual=_BIASED
        ),
    ),
    "glm4_moe": Family(
        "GLM 4.5, 4.6",
        layout=Layout(
            qkv_bias="attention_bias", head_norms="head", head_norms_field="use_qk_norm", experts="n_routed_experts",
            expert_width="moe_intermediate_size", dense_first="first_k_dense_replace", shared_count="n_shared_experts",
            usual={"first_k_dense_replace": 1, "n_shared_experts": 1},
        ),
    ),
    "smollm3": Family("SmolLM3", layout=_layout(mlp_bias="mlp_bias", tied=True, window="field")),
    "seed_oss": Family(
        "Seed-OSS",
        layout=Layout(
            qkv_bias="attention_bias", output_bias="attention_out_bias", mlp_bias="mlp_bias", head_size=128,
            usual=_BIASED,
        ),
    ),
    "ernie4_5": Family(
        "Ernie 4.5",
        layout=Layout(qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias", tied=True, head_size=128),
    ),
    "ernie4_5_moe": Family("Ernie 4.5 MoE"),
    "deepseek_v2": Family("DeepSeek V2"),
    "deepseek_v3": Family("DeepSeek V3, R1, Kimi K2", layout=_layout(**_DEEPSEEK)),
    "minimax_m2": Family("MiniMax M2"),
    "phimoe": Family("Phi 3.5 MoE"),
    "exaone4": Family("EXAONE 4"),
    "starcoder2": Family("StarCoder 2"),
    "gpt2": Family("GPT-2", precisions=("bf16",)),
    "jetmoe": Family("JetMoE", precisions=("bf16",)),
    "llama4_text": Family("Llama 4 (text)", precisions=("bf16",)),
    "llama4": Family("Llama 4 (as shipped)", precisions=("bf16",)),
    "gpt_neox": Family("GPT-NeoX, Pythia"),
    "opt": Family("OPT"),
    "stablelm": Family("StableLM"),
    "nemotron": Family("Nemotron"),
    **{model_type: Family(name) for model_type, name in _MEASURED.items()},
    **{model_type: Family(f"{name} (as shipped)") for model_type, name in _SEEING.items()},
}  # fmt: skip

_RECURRENT = {
    "qwen3_next": "Qwen 3 Next", "qwen3_5": "Qwen 3.5", "qwen3_5_text": "Qwen 3.5 (text)",
    "qwen3_5_moe": "Qwen 3.5 MoE", "qwen3_5_moe_text": "Qwen 3.5 MoE (text)", "qwen4_exp": "Qwen 4 (experimental)",
    "lfm2": "LFM2", "lfm2_moe": "LFM2 MoE", "lfm3": "LFM3", "jamba": "Jamba", "mamba": "Mamba", "mamba2": "Mamba 2",
    "falcon_mamba": "Falcon Mamba", "falcon_h1": "Falcon H1", "recurrent_gemma": "RecurrentGemma", "bamba": "Bamba",
    "granitemoehybrid": "Granite 4 (hybrid)", "nemotron_h": "Nemotron H, Nemotron 3", "zamba": "Zamba",
    "zamba2": "Zamba 2", "rwkv": "RWKV", "xlstm": "xLSTM", "olmo_hybrid": "OLMo (hybrid)", "minimax": "MiniMax 01",
    "kimi_linear": "Kimi Linear", "bailing_hybrid": "Ling (hybrid)", "deepseek_v4": "DeepSeek V4", "zaya": "Zaya",
}  # fmt: skip
_OWN_ATTENTION = {
    "gptj": "GPT-J", "falcon": "Falcon", "bloom": "BLOOM", "mpt": "MPT", "codegen": "CodeGen", "gpt_neo": "GPT-Neo",
    "xglm": "XGLM", "gpt_neox_japanese": "GPT-NeoX Japanese", "cpmant": "CPM-Ant", "openai-gpt": "GPT",
    "xlnet": "XLNet", "xlm": "XLM", "reformer": "Reformer", "diffllama": "DiffLlama",
}  # fmt: skip
_OWN_MASK = {
    "doge": "Doge", "deepseek_v32": "DeepSeek V3.2", "glm_moe_dsa": "GLM 5 (sparse attention)",
}  # fmt: skip
_ENCODER = {
    "t5": "T5", "mt5": "mT5", "umt5": "umT5", "bart": "BART", "mbart": "mBART", "pegasus": "Pegasus",
    "marian": "Marian", "blenderbot": "Blenderbot", "whisper": "Whisper", "prophetnet": "ProphetNet",
    "t5gemma": "T5Gemma", "longt5": "LongT5", "switch_transformers": "Switch Transformers", "m2m_100": "M2M-100",
}  # fmt: skip
_NO_DECODER = {
    "bert": "BERT", "roberta": "RoBERTa", "xlm-roberta": "XLM-RoBERTa", "electra": "ELECTRA", "deberta-v2": "DeBERTa",
    "distilbert": "DistilBERT", "modernbert": "ModernBERT", "albert": "ALBERT", "camembert": "CamemBERT",
}  # fmt: skip

REFUSED: Mapping[str, Family] = {
    model_type: Family(name, refused=why)
    for why, names in (
        (RECURRENT, _RECURRENT),
        (OWN_ATTENTION, _OWN_ATTENTION),
        (OWN_MASK, _OWN_MASK),
        (ENCODER, _ENCODER),
        (NO_DECODER, _NO_DECODER),
    )
    for model_type, name in names.items()
}
FAMILIES: Mapping[str, Family] = {**EXACT, **REFUSED}
# Those whose plan is arithmetic on a configuration.
PLANNED: tuple[str, ...] = tuple(model_type for model_type, family in EXACT.items() if family.layout)


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a configuration that is of the language model: itself, or what a model of several parts nests."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) and "hidden_size" in nested else config


def why_refused(config: Mapping[str, Any]) -> str | None:
    """Why a model with this configuration is not scored, in words; None where nothing in it speaks against it."""
    text = text_config(config)
    for model_type in (config.get("model_type"), text.get("model_type")):
        family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
        if family and family.refused:
            return family.refused
    if config.get("is_encoder_decoder") is True:
        return ENCODER
    kinds = text.get("layer_types")
    unknown = sorted({str(kind) for kind in kinds} - ATTENDING) if isinstance(kinds, list) else []
    if unknown:
        why = OWN_MASK if any(word in unknown[0] for word in ("indexed", "sparse", "compressed")) else RECURRENT
        return f"some of its layers are {unknown[0].replace('_', ' ')}: {why}"
    return None


def markdown_table() -> str:
    """All families as a table for docs/models.md."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield "| `model_type` | models | scores | windows | precisions | memory plan |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for model_type, family in FAMILIES.items():
        if family.refused:
            yield f"| `{model_type}` | {family.name} | refused: {family.refused} | | | |"
        else:
            text = FAMILIES[family.text] if family.text else family
            planned = "from its configuration" if text.layout else "measured at load"
            planned += ", but for one that hears" if model_type == "gemma4" else ""
            yield (
                f"| `{model_type}` | {family.name} | exact | {text.windows} | {', '.join(family.precisions)} | "
                f"{planned} |"
            )


if __name__ == "__main__":
    print(markdown_table())
