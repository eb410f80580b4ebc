"""Whole experiments: each a short file that puts the rooms together."""
