"""What benchmarks/selfhost.py is made of."""
