"""How servers are spoken to, one file a dialect."""
