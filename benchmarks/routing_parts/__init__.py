"""Parts of the benchmark of routes, cascades and certificates."""
