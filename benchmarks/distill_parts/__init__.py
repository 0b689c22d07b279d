"""Parts of the benchmark of distillation."""
