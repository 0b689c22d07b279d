"""The truth that the digest is held against."""
