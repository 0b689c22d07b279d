"""Made-up months as the alerts read them, and what could be seen in them at best."""
