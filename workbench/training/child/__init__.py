"""The process that trains. It alone imports the trainers; everything here may be slow to import."""
