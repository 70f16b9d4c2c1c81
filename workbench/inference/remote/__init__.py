"""Models on servers, asked over HTTP. Nothing but the named addresses is contacted."""
