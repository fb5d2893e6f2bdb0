"""One function for each thing a caller can do. No HTTP, no SQL, no clock of its own."""
