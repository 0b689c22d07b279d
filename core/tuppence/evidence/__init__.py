"""Evidence: what was tried on real traffic, what was learned from it, and what may be promised."""
