"""What there is: frozen data that knows its own limits, and pure functions over it."""
