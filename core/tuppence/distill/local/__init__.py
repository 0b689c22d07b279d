"""A LoRA adapter trained on this machine, in a process of its own: torch is never loaded into your program."""

from tuppence.distill.local.lora import LocalLora, merged_model, read_trained

__all__ = ["LocalLora", "merged_model", "read_trained"]
