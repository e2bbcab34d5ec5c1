"""Plans of many runs, and what runs them."""
