"""The command line, with one module per command. Each parses, calls, prints, and returns an exit code."""
