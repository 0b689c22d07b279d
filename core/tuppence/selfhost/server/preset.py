"""How to start vLLM on which machine: flags and environment, as data that can be read and added to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Preset:
    """Flags and environment of a server; the machine's, not the model's."""

    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def gpu(*, memory_share: float = 0.9, gpus: int = 1, context_tokens: int | None = None) -> Preset:
        """Use so much of the GPU's memory, the model spread over so many GPUs; the context is the model's own."""
        sized = ("--gpu-memory-utilization", f"{memory_share:g}", "--tensor-parallel-size", str(gpus))
        return Preset((*_SHARED, *sized, *_context(context_tokens)))

    @staticmethod
    def cpu(*, cache_gib: int = 1, context_tokens: int | None = 2048, threads: int | None = None) -> Preset:
        """Run without a GPU, for small models and tests; by default on all processors, so with none beside it."""
        # Uncompiled: compiling takes longer than most tests, needs a compiler and gains little at this size.
        flags = ("--dtype", "bfloat16", "--enforce-eager", "--block-size", "32")
        environment = {"VLLM_CPU_KVCACHE_SPACE": str(cache_gib), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        if threads is not None:
            environment["OMP_NUM_THREADS"] = str(threads)
        return Preset((*_SHARED, *flags, *_context(context_tokens)), environment)

    @staticmethod
    def busy_cpu(*, cache_gib: int = 1, context_tokens: int | None = 2048) -> Preset:
        """Run without a GPU beside other work: one thread that sleeps while it waits.

        On two processors shared with other programs an answer came at 22 tokens a second, with two spinning threads
        at one.
        """
        calm = Preset.cpu(cache_gib=cache_gib, context_tokens=context_tokens, threads=1)
        return calm.with_environment({"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"})

    def with_adapters(self, *, max_rank: int = 16) -> Preset:
        """Let LoRA adapters of up to this rank come and go while the server runs."""
        loading = self.with_environment({"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"})
        return loading.with_flags("--enable-lora", "--max-lora-rank", str(max_rank))

    def with_tools(self, parser: str) -> Preset:
        """Let the model call tools of its own accord; `parser` is vLLM's name for how this model spells its calls."""
        return self.with_flags("--enable-auto-tool-choice", "--tool-call-parser", parser)

    def with_sleep(self) -> Preset:
        """Let the server give its GPU's memory back for a while; its further development pages are open then too."""
        return self.with_environment({"VLLM_SERVER_DEV_MODE": "1"}).with_flags("--enable-sleep-mode")

    def with_flags(self, *flags: str) -> Preset:
        """Add flags of vLLM's own; a later one wins."""
        return replace(self, flags=(*self.flags, *flags))

    def with_environment(self, environment: Mapping[str, str]) -> Preset:
        return replace(self, environment={**self.environment, **environment})


# Without it no answer says how much of its prompt came from the prefix cache.
_SHARED = ("--enable-prompt-tokens-details",)


def _context(tokens: int | None) -> tuple[str, ...]:
    return () if tokens is None else ("--max-model-len", str(tokens))
