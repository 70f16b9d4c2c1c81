"""Texts made into vectors by an embedding model: a GGUF file, a Hugging Face folder, or a server's."""
