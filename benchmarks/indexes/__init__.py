"""What `benchmarks/vector_index.py` compares."""
