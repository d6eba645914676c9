"""One file per command, named after it; each holds the click command as `command`."""
