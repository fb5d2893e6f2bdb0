"""Evidence packs: what happened in a period, and how things were at its end, for an auditor to check alone."""
