"""Complete experiments, each in one short file that combines search, training and report."""
