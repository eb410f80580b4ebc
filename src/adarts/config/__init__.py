"""Validated settings, scales, and how the layers of a configuration are put together."""
