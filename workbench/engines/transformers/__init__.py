"""Hugging Face models through transformers and peft, for a process of its own: importing it loads torch."""
