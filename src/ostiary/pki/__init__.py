"""Certificates and keys: pure functions over bytes and `cryptography` objects. No clock, no files, no network."""
