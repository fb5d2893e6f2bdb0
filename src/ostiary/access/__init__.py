"""What decides about a request: one list of checks, which the engine is given and which explains itself. Pure."""
