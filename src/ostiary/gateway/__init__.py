"""A gateway on its machine: the keeper, a small process that runs an Envoy and never leaves it without configuration."""
