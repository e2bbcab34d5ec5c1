"""Scripted players that know a level's state: what a perfect memory could reach."""
