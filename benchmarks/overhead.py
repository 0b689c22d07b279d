"""What the layer itself costs a call: CPU microseconds added over asking the model directly.

The provider is an in-process fake that answers at once, so that only the layer is timed. Both sides run in
turn, in batches; CPU time is that of the whole process, so the ledger's writer thread is counted (each batch
ends with everything on disk). Figures are medians over the paired batches.

python benchmarks/overhead.py [--batches 60] [--calls 200]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback
from openai.types.chat import ChatCompletion

import llama_index_tuppence
from langchain_tuppence import ChatTuppence, tier
from tuppence import Message, Policy, Reply, Request, SqliteLedger, Tier, Usage, token_rate
from tuppence.drivers import run
from tuppence.flow import plan
from tuppence.ports import Port
from tuppence.testing.models import ScriptedModels

ANSWER = "The invoice is due thirty days after the end of the month in which the goods were delivered."
RATE = token_rate(input="0.15", output="0.60")
USAGE = {"input_tokens": 12, "output_tokens": 19, "total_tokens": 31}

COMPLETION = ChatCompletion.model_validate({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fake",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 19, "total_tokens": 31},
})  # fmt: skip


class FakeChat(BaseChatModel):
    """Answers at once, with usage, like a provider's class would after its HTTP call."""

    model_name: str = "fake"

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any,
    ) -> ChatResult:  # fmt: skip
        message = AIMessage(ANSWER, usage_metadata=USAGE, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:  # fmt: skip
        for word in ANSWER.split(" "):
            chunk = ChatGenerationChunk(message=AIMessageChunk(word + " "))
            if run_manager is not None:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=USAGE))


class FakeLLM(CustomLLM):
    """The same for LlamaIndex: its response holds the SDK's own object, as its OpenAI classes' do."""

    name: str = "fake"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.name, is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(ANSWER, role="assistant"), raw=COMPLETION)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError("the benchmark chats")

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError("the benchmark chats")


def cpu_us(work: Callable[[], None], calls: int, settle: Callable[[], None]) -> float:
    """CPU microseconds a call, over `calls` calls and everything that they leave to other threads."""
    started = time.process_time()
    for _ in range(calls):
        work()
    settle()
    return (time.process_time() - started) / calls * 1e6


def added(
    layer: Callable[[], None], bare: Callable[[], None], args: argparse.Namespace, settle: Callable[[], None]
) -> float:
    """Median over paired batches of what `layer` costs more than `bare`."""
    differences = []
    for batch in range(args.batches + 3):
        bare_us = cpu_us(bare, args.calls, lambda: None)
        layer_us = cpu_us(layer, args.calls, settle)
        if batch >= 3:  # the first batches warm caches and open files
            differences.append(layer_us - bare_us)
    return statistics.median(differences)


def core_us(args: argparse.Namespace, folder: Path) -> float:
    """The core over the raw callable: two tiers, the default check, the ledger on."""
    ledger = SqliteLedger(folder / "core.sqlite")
    usage = Usage(input=12, output=19)
    models = ScriptedModels(small=lambda _ask: Reply(ANSWER, finish="stop", usage=usage, model="s"), large="")
    models.asked = _Forgetful()
    policy = Policy(tiers=(Tier("small", model="s", rate=RATE), Tier("large", model="l", rate=RATE)))
    messages = (Message("user", "When is it due?"),)
    port = Port(models, ledger=ledger)
    bare_ask = _Ask()

    def layer() -> None:
        run(plan(Request(messages, received_at=time.time()), policy), port)

    return added(layer, lambda: models.ask(bare_ask) and None, args, ledger.flush)


class _Forgetful(list[Any]):
    """A log that keeps nothing, so that the fake's own list does not grow."""

    def append(self, item: Any) -> None:
        pass


class _Ask:
    tier = Tier("small")


def chat(folder: Path, name: str, **options: Any) -> tuple[ChatTuppence, SqliteLedger]:
    ledger = SqliteLedger(folder / f"{name}.sqlite")
    tiers = [tier(FakeChat(model_name="small"), name="small", rate=RATE), tier(FakeChat(), name="large", rate=RATE)]
    return ChatTuppence(tiers=tiers, ledger=ledger, **options), ledger


def facade_us(args: argparse.Namespace, folder: Path) -> float:
    """ChatTuppence over invoking the model directly."""
    llm, ledger = chat(folder, "facade")
    bare = FakeChat()
    return added(lambda: llm.invoke("When is it due?") and None, lambda: bare.invoke("When is it due?") and None,
                 args, ledger.flush)  # fmt: skip


def with_fallbacks_us(args: argparse.Namespace) -> float:
    """LangChain's own `with_fallbacks` over invoking the model directly."""
    bare = FakeChat()
    both = bare.with_fallbacks([FakeChat()])
    return added(lambda: both.invoke("When is it due?") and None, lambda: bare.invoke("When is it due?") and None,
                 args, lambda: None)  # fmt: skip


def hit_us(args: argparse.Namespace, folder: Path) -> float:
    """A whole exact hit from a SQLite cache, through LangChain."""
    llm, ledger = chat(folder, "hit", cache=folder / "cache.sqlite")
    llm.invoke("When is it due?")
    assert llm.invoke("When is it due?").response_metadata["tuppence"]["tier"] == "cache"
    return added(lambda: llm.invoke("When is it due?") and None, lambda: None, args, ledger.flush)


def ttft_added_us(args: argparse.Namespace, folder: Path) -> float:
    """Until the user sees the first chunk of a checked stream, over the model's own stream."""
    llm, ledger = chat(folder, "ttft")
    bare = FakeChat()
    differences = []
    for _ in range(args.batches * 5):
        first_us = [_first_chunk_us(model) for model in (bare, llm)]
        differences.append(first_us[1] - first_us[0])
    ledger.flush()
    return statistics.median(differences)


def _first_chunk_us(model: BaseChatModel) -> float:
    started = time.process_time()
    chunks = model.stream("When is it due?")
    for chunk in chunks:
        if chunk.text:
            break
    spent = time.process_time() - started
    for _ in chunks:
        pass
    return spent * 1e6


def llama_index_us(args: argparse.Namespace, folder: Path) -> float:
    """TuppenceLLM over LlamaIndex's own model asked directly."""
    ledger = SqliteLedger(folder / "llama_index.sqlite")
    tiers = [llama_index_tuppence.tier(FakeLLM(name=name), rate=RATE) for name in ("small", "large")]
    llm = llama_index_tuppence.TuppenceLLM(tiers, ledger=ledger)
    bare = FakeLLM()
    asked = [ChatMessage("When is it due?", role="user")]
    return added(lambda: llm.chat(asked) and None, lambda: bare.chat(asked) and None, args, ledger.flush)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--calls", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = {
            "core_us": core_us(args, folder),
            "facade_us": facade_us(args, folder),
            "with_fallbacks_us": with_fallbacks_us(args),
            "hit_us": hit_us(args, folder),
            "ttft_added_us": ttft_added_us(args, folder),
            "llama_index_us": llama_index_us(args, folder),
        }
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
