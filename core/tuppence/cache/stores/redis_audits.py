"""Audits in a Redis or Redis Cluster: machines that share a cache share what was learned about it.

One list, a JSON text an audit, that clearing the cache leaves alone. The two questions of an audit are kept only where
somebody asked for examples.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator, Sequence

from tuppence.cache.calibration import Audit
from tuppence.cache.stores.redis_link import PAUSE_S, Client, RedisLink
from tuppence.errors import CacheError, ConfigError

PAGE = 1_000
"""Audits read in one go: some hundred kilobytes, however many there are."""


class RedisAudits:
    """An `AuditLog` in a Redis; `target` and `prefix` are as in the cache's stores, and may be the same.

    An audit is in Redis when `add` returns. `examples` keeps the questions too, so that a report can show them. Raises
    `CacheError` where Redis does not answer, after which it is not asked for `pause_s`, or where the list holds what is
    no audit.
    """

    def __init__(
        self, target: str | Client, *, prefix: str = "tuppence", examples: bool = False, pause_s: float = PAUSE_S
    ) -> None:
        if not prefix:
            raise ConfigError("prefix is empty: it begins the key, so give some text")
        self._key = f"{prefix}-audits:1"
        self._examples = examples
        self._link = RedisLink(target, pause_s=pause_s)
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, self._link.close)

    def add(self, audit: Audit) -> None:
        texts = (audit.question, audit.served) if self._examples else ("", "")
        row = (audit.domain, audit.probability, audit.same, audit.at, *texts)
        self._link.run(("RPUSH", self._key, json.dumps(row, separators=(",", ":"))))

    def read(self, after: int = 0) -> Sequence[Audit]:
        return list(map(self._audit, self._texts(after)))

    def close(self) -> None:
        self._close()

    def _texts(self, first: int) -> Iterator[bytes | str]:
        while texts := self._link.run(("LRANGE", self._key, first, first + PAGE - 1))[0]:
            yield from texts
            first += PAGE

    def _audit(self, text: bytes | str) -> Audit:
        try:
            domain, probability, same, at, question, served = json.loads(text)
            return Audit(str(domain), float(probability), bool(same), float(at), str(question), str(served))
        except (TypeError, ValueError) as error:
            raise CacheError(f"{self._key} in Redis holds {text!r}, which is no audit: delete it or the key") from error
