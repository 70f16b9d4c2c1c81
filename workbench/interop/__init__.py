"""Files of other tools: read into prompts, cases and a bench, and written from them."""
