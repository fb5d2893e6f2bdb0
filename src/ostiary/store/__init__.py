"""Where everything is kept. The only part that speaks SQL."""
