"""The command line: one module a verb, each of which parses, calls, prints and returns an exit code."""
