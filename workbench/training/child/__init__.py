"""The process that trains. It alone imports the trainers; everything here may be slow to import."""

from workbench.training.child.environment import hush

hush()  # before any of the libraries is imported
