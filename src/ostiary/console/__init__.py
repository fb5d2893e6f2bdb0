"""The console: pages over the same use cases as the API, for people who would rather look than read."""
