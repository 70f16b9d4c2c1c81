"""The bridge to lm-eval, EleutherAI's harness: its tasks on any engine of the workbench."""
