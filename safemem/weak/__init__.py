"""Weak callbacks, registries and identity containers."""
