"""Translate what is desired into Envoy's messages. Pure: no socket, no clock, no global."""
