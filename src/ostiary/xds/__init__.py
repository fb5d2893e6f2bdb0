"""The conversation with Envoys and their keepers: what they ask for, what they are sent, what they answer."""
