"""Run a page's snippets, or an example, as a program of its own that cannot leave this machine.

`python tests/offline.py FILE`: a `.md` file is run snippet after snippet, in one namespace, as a reader would
type them; a `.py` file is run as `__main__`. No name may be looked up and no address reached outside.
"""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

OPENING = re.compile(r"^(?P<indent> *)```python\b")
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None}


def program_of(page: str) -> str:
    """Return the page's python snippets as one program, each line still at the number it has on the page."""
    program: list[str] = []
    indent: str | None = None
    for line in page.splitlines():
        opening = OPENING.match(line)
        if indent is None:
            indent = opening["indent"] if opening else None
            program.append("")
        elif line.strip() == "```":
            indent = None
            program.append("")
        else:
            program.append(line.removeprefix(indent))
    return "\n".join(program) + "\n"


def stay_home(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse, as an audit hook, every host but this one."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOCAL_HOSTS:
        raise PermissionError(f"documentation and examples run offline, but this one asked for {host!r}")


def main(path: Path) -> None:
    sys.addaudithook(stay_home)
    if path.suffix == ".md":
        code = compile(program_of(path.read_text(encoding="utf-8")), str(path), "exec")
        exec(code, {"__name__": "__main__", "__file__": str(path)})
    else:
        runpy.run_path(str(path), run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
