"""Programs for another interpreter, which has torch and need not have tuppence: none of them is imported here."""
