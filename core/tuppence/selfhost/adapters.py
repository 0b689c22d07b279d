"""LoRA adapters of a running vLLM server: each is a model name of its own, loaded and swapped while it serves.

What an adapter is good for is not known here; nor is anything deleted on disk.
"""

from __future__ import annotations

from pathlib import Path

from tuppence.selfhost.endpoint import Endpoint, Refused
from tuppence.selfhost.errors import SelfHostError

_LOADS_WITHIN_S = 120.0
"""An adapter of a few hundred megabytes from a network disk; the call ends with the loading."""
_OFF = {404, 405}
"""How a server without run-time adapters answers: it has no such page."""
_FIX = "start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, as VllmServer(..., lora=True) does"


class AdapterClient:
    """The adapters of the server at `url`; its own model is not one of them."""

    def __init__(self, url: str | Endpoint, *, api_key: str | None = None) -> None:
        self._endpoint = url if isinstance(url, Endpoint) else Endpoint(url, api_key)

    def names(self) -> tuple[str, ...]:
        """Name what is loaded, in the order of loading: each can be asked as `model`."""
        return tuple(self._folders())

    def load(self, name: str, folder: str | Path) -> None:
        """Load the adapter in `folder`, which the server must be able to read, as model `name`.

        Loading what is loaded already, from the same folder, does nothing. Raises `SelfHostError` where the name has
        another adapter, the folder holds none or one that does not fit, or the server takes none while it runs.
        """
        held, wanted = self._folders().get(name), _place(folder)
        if held == wanted:
            return
        if held is not None:
            raise SelfHostError(f"adapter {name!r} is loaded from {held}: swap() replaces it by the one in {wanted}")
        self._load(name, wanted, inplace=False)

    def swap(self, name: str, folder: str | Path) -> None:
        """Put the adapter in `folder` in the place of the one called `name`, which need not be there yet.

        The new one needs a folder of its own: vLLM's prefix cache tells adapters apart by name and folder, and would go
        on using what the old weights computed.
        """
        held, wanted = self._folders().get(name), _place(folder)
        if held == wanted:
            raise SelfHostError(
                f"adapter {name!r} is loaded from {held} already, and vLLM would mix what its old and its new weights "
                "computed: write the new weights to a folder of their own"
            )
        self._load(name, wanted, inplace=held is not None)

    def unload(self, name: str) -> None:
        """Take the adapter away; raises `SelfHostError` where there is none of that name."""
        loaded = self.names()
        if name not in loaded:
            raise SelfHostError(f"no adapter {name!r} is loaded at {self._endpoint.url}: there are {_listed(loaded)}")
        self._tell("/v1/unload_lora_adapter", {"lora_name": name}, f"adapter {name!r} could not be unloaded")

    def _load(self, name: str, folder: str, *, inplace: bool) -> None:
        body = {"lora_name": name, "lora_path": folder, "load_inplace": inplace}
        self._tell("/v1/load_lora_adapter", body, f"adapter {name!r} could not be loaded from {folder}")

    def _tell(self, path: str, body: dict[str, object], failure: str) -> None:
        try:
            self._endpoint.post(path, body, timeout_s=_LOADS_WITHIN_S)
        except Refused as error:
            # A folder without an adapter is "not found" too; then the page itself is there, and says so.
            if error.status in _OFF and not self._offers(path):
                raise SelfHostError(
                    f"the server at {self._endpoint.url} loads no adapters while it runs: {_FIX}"
                ) from error
            raise SelfHostError(f"{failure}: {error}") from error

    def _offers(self, path: str) -> bool:
        return path in self._endpoint.get("/openapi.json")["paths"]

    def _folders(self) -> dict[str, str]:
        models = self._endpoint.get("/v1/models")["data"]
        return {model["id"]: model["root"] for model in models if model.get("parent")}


def _place(folder: str | Path) -> str:
    """Spell a folder of this machine in full, for the server's current folder is its own; leave any other as it is."""
    here = Path(folder).expanduser()
    return str(here.resolve()) if here.exists() else str(folder)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "none"
