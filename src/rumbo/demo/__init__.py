"""The demonstration: a year of real shoppers. Only the command line imports it; its data comes with the extra `demo`."""
