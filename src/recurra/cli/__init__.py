"""The command line: one file a subcommand, loaded when it is used."""
