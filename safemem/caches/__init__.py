"""Bounded mappings that may stand in for a global dict, and decorators that cache what functions return."""
