"""Foreign prompt formats, a module each."""
