"""What benchmarks/budget.py is made of."""
