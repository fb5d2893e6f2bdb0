"""The REST API: translates HTTP to one ops call each, and errors back."""
