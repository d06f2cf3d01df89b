"""The commands of the command line: thin, each over one use case."""
