"""Recipes wired into runs."""
