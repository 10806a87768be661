"""One module per store; the module's name is its registration."""
