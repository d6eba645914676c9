"""Everything that has meaning, written once, above the ports."""
