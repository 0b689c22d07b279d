"""`tuppence selfhost serve`, `status` and `adapters`: a vLLM server started, looked at, and given adapters.

Everything is done in `tuppence.selfhost`; here it is asked for, and what came of it is shown.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson

Server = Annotated[str, typer.Argument(metavar="URL", help="The server's address, such as http://127.0.0.1:8000.")]
ApiKey = Annotated[str | None, typer.Option(envvar="VLLM_API_KEY", help="The key that the server asks for.")]
Named = Annotated[str, typer.Argument(metavar="NAME", help="What requests call the adapter, as their model.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the adapter is, as the server reaches it.")]


def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's folder, or its name at the hub.")],
    flags: Annotated[list[str] | None, typer.Argument(metavar="[-- FLAGS]", help="Further flags of vLLM's.")] = None,
    name: Annotated[str | None, typer.Option(help="What requests call the model; by default its own name.")] = None,
    python: Annotated[str, typer.Option(metavar="FILE", help="The interpreter that has vLLM.")] = sys.executable,
    cpu: Annotated[bool, typer.Option("--cpu", help="Run without a GPU.")] = False,
    gpus: Annotated[int, typer.Option(min=1, help="Spread the model over so many GPUs.")] = 1,
    context: Annotated[int | None, typer.Option(metavar="TOKENS", help="Longest prompt and answer together.")] = None,
    host: Annotated[str, typer.Option(help="Listen at this address of the machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    lora: Annotated[bool, typer.Option("--lora", help="Let adapters come and go while it runs.")] = False,
    tools: Annotated[str | None, typer.Option(metavar="PARSER", help="vLLM's parser of this model's calls.")] = None,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep what the server writes.")] = None,
    api_key: ApiKey = None,
) -> None:
    """Start a vLLM server, and stop it with Ctrl-C: nothing of it is left then."""
    from tuppence.selfhost import Preset, VllmServer

    preset = Preset.cpu(context_tokens=context) if cpu else Preset.gpu(gpus=gpus, context_tokens=context)
    if tools is not None:
        preset = preset.with_tools(tools)
    server = VllmServer(
        model, served_name=name, python=python, preset=preset.with_flags(*(flags or ())), host=host, port=port,
        api_key=api_key, lora=lora, log=log,
    )  # fmt: skip
    terminal.complain(f"loading {model}: this may take minutes")
    with server:
        terminal.out(f"{server.name} answers at {server.base_url}; Ctrl-C ends it\n")
        sys.stdout.flush()  # who started it may wait for that line
        server.wait()


def status(server: Server, api_key: ApiKey = None, format: TableOrJson = TableOrJson.table) -> None:  # noqa: A002
    """Say whether a server is well, which vLLM it is, and what it serves."""
    from tuppence.selfhost import RunningServer

    running = RunningServer(server, api_key=api_key)
    models, adapters = running.models(), running.adapters.names()
    told: dict[str, Any] = {
        "url": running.url, "healthy": running.healthy(), "version": running.version(),
        "models": [model for model in models if model not in adapters], "adapters": list(adapters),
    }  # fmt: skip
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(told, indent=2, ensure_ascii=False)}\n")
    else:
        state = "well" if told["healthy"] else "NOT WELL: its engine has failed, start it anew"
        terminal.out(f"{running.url}  vLLM {told['version']}  {state}\n")
        terminal.out(f"  models    {', '.join(told['models'])}\n  adapters  {', '.join(adapters) or 'none'}\n")


adapters = typer.Typer(no_args_is_help=True, help="The LoRA adapters of a running server.")


@adapters.callback()
def _adapters() -> None:
    """The LoRA adapters of a running server."""


@adapters.command()
def load(server: Server, name: Named, folder: Folder, api_key: ApiKey = None) -> None:
    """Load an adapter, to be asked by its name at once."""
    _client(server, api_key).load(name, folder)
    terminal.out(f"loaded {name} from {folder}\n")


@adapters.command()
def swap(server: Server, name: Named, folder: Folder, api_key: ApiKey = None) -> None:
    """Put an adapter in another's place, under its name."""
    _client(server, api_key).swap(name, folder)
    terminal.out(f"{name} is the one from {folder} now\n")


@adapters.command()
def unload(server: Server, name: Named, api_key: ApiKey = None) -> None:
    """Take an adapter away."""
    _client(server, api_key).unload(name)
    terminal.out(f"unloaded {name}\n")


def _client(server: str, api_key: str | None) -> Any:
    from tuppence.selfhost import AdapterClient

    return AdapterClient(server, api_key=api_key)
