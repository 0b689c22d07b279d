"""What `benchmarks/semantic_cache.py` measures, a part each: pairs, streams, stores, ingestion and peers."""
