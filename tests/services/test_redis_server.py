"""The Redis that the other tests here stand on."""

import pytest
import redis

from tuppence.testing.redis_server import RedisServer

pytestmark = pytest.mark.services


def test_it_searches_and_speaks_json(redis_url: str) -> None:
    """Both modules are in, and a test starts with nothing."""
    client = redis.Redis.from_url(redis_url)
    names = {module[b"name"] if isinstance(module, dict) else module[1] for module in client.module_list()}
    assert {str(name, "ascii") if isinstance(name, bytes) else name for name in names} >= {"search", "ReJSON"}
    assert client.dbsize() == 0
    client.close()


def test_a_cluster_answers_for_every_slot(redis_cluster: RedisServer) -> None:
    """One node, all slots: enough to refuse what a cluster refuses."""
    client = redis.RedisCluster(host="127.0.0.1", port=redis_cluster.port)
    client.set("a", "1")
    assert client.get("a") == b"1"
    assert client.cluster_keyslot("a") != client.cluster_keyslot("b")
    client.close()
