"""Parts of the benchmark of pruning, a file each."""
