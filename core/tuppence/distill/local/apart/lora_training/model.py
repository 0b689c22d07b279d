"""The base model with a fresh adapter, and the adapter merged into it. On a GPU the base is held in 4 bits where
bitsandbytes is there (QLoRA), else in bfloat16; on a CPU in 32 bits.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM

_ATTENTION: dict[str, Any] = {"attn_implementation": "sdpa"}
"""The one that takes a mask of ours (`packing`), and is there for every model."""


def load(spec: dict[str, Any]) -> tuple[Any, str]:
    """Load the base with an adapter that changes nothing yet; say how the base is held."""
    torch.manual_seed(spec["seed"])
    held, base = _base(spec["base"])
    config = LoraConfig(
        r=spec["rank"],
        lora_alpha=2 * spec["rank"],
        lora_dropout=spec["dropout"],
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config)
    for weights in trainable(model):
        # Small steps vanish in the 8 bits that bfloat16 has for a number's digits.
        weights.data = weights.data.float()
    return model, held


def trainable(model: Any) -> list[Any]:
    """List the adapter's weights."""
    return [weights for weights in model.parameters() if weights.requires_grad]


def merge(base: str, adapter: Path, out: Path) -> None:
    """Write the base with the adapter added in, as it is stored: summed in 32 bits, kept in the base's own."""
    stored = AutoModelForCausalLM.from_pretrained(base, dtype="auto").dtype
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    merged.to(stored).save_pretrained(out)


def _base(name: str) -> tuple[str, Any]:
    if not torch.cuda.is_available():
        # Measured on SmolLM2-135M: bfloat16 takes a fourth longer here, for so few rows at once.
        return "32 bits on a CPU", AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, **_ATTENTION)
    if importlib.util.find_spec("bitsandbytes") is None:
        kept: dict[str, Any] = {"dtype": torch.bfloat16, "device_map": {"": 0}}
        return "bfloat16 on a GPU", AutoModelForCausalLM.from_pretrained(name, **kept, **_ATTENTION)
    return "4 bits on a GPU", prepare_model_for_kbit_training(_in_four_bits(name))


def _in_four_bits(name: str) -> Any:
    """Load as T. Dettmers et al. do, "QLoRA: Efficient Finetuning of Quantized LLMs" (arXiv:2305.14314)."""
    from transformers import BitsAndBytesConfig

    quantised = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return AutoModelForCausalLM.from_pretrained(name, quantization_config=quantised, device_map={"": 0}, **_ATTENTION)
