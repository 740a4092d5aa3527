"""The command line: overrides run a training and its evaluation; each verb is one file."""
