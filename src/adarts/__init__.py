"""ADARTS: differentiable neural architecture search with channel attention."""
