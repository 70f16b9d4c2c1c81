"""How models write tool calls: one module per family of forms, chosen by the chat template."""
