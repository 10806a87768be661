"""One module per service that posts go to; the module's name is its registration."""
