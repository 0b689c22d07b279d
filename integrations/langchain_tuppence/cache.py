"""LangChain's own LLM cache, kept in the stores of the exact cache: for programs that call `set_llm_cache`.

It serves models that are not behind `ChatTuppence`; that one looks its repeats up itself, where streams profit too.
Values are JSON, never pickled, and a tenant never sees another's.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, Generation

from tuppence.cache import Store
from tuppence.cache.stores.opening import MEMORY, exact_store
from tuppence.context import current_tags


class TuppenceCache(BaseCache):
    """An LLM cache in memory, in a file or in a Redis: `set_llm_cache(TuppenceCache("answers.sqlite"))`.

    `store` is a path, an address such as "redis://host:6379/0", or a store. `ttl_s` is in seconds; None keeps entries
    until there is no room. Raises `CacheError` where the file cannot be opened; what the store raises later is
    LangChain's to report.
    """

    def __init__(self, store: Store | str | Path | None = None, *, ttl_s: float | None = 24 * 3600.0) -> None:
        if store is None:
            store = MEMORY
        self._store: Store = exact_store(store) if isinstance(store, str | Path) else store
        self._ttl_s = ttl_s

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return the generations kept for this prompt of this model, or None."""
        key = _key(prompt, llm_string)
        found = self._store.get(key)
        if found is None:
            return None
        try:
            return [_thawed(one) for one in json.loads(found[0])]
        except (ValueError, KeyError, TypeError):
            # Torn, foreign or of another version: of no use to anybody.
            self._store.delete(key)
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep the generations of this prompt of this model."""
        value = json.dumps([_frozen(one) for one in return_val], ensure_ascii=False, separators=(",", ":"))
        self._store.put(
            _key(prompt, llm_string),
            value.encode("utf-8", "surrogatepass"),
            self._ttl_s,
            tenant=current_tags().get("tenant"),
        )

    def clear(self, **kwargs: Any) -> None:
        """Delete every entry, whatever `kwargs` say: of all prompts, models and tenants."""
        self._store.clear()


def _key(prompt: str, llm_string: str) -> str:
    scope = json.dumps(["langchain", current_tags().get("tenant"), llm_string, prompt], ensure_ascii=False)
    return hashlib.blake2b(scope.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _frozen(generation: Generation) -> dict[str, Any]:
    if isinstance(generation, ChatGeneration):
        return {"message": message_to_dict(generation.message), "info": generation.generation_info}
    return {"text": generation.text, "info": generation.generation_info}


def _thawed(frozen: dict[str, Any]) -> Generation:
    if "message" in frozen:
        (message,) = messages_from_dict([frozen["message"]])
        return ChatGeneration(message=message, generation_info=frozen["info"])
    return Generation(text=frozen["text"], generation_info=frozen["info"])
