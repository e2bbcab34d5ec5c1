"""Other libraries' agents and environments, side by side with ours."""
