"""What every HTTP application of ours stands on: request ids, safety headers, limits, whom to slow down. It knows no use case."""
