"""Parts of the benchmark of the whole stack."""
