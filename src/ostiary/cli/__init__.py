"""The command line: `up` and `demo` run things; every other command is a thin client of the API."""
