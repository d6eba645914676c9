"""`jobq doctor`: whether all that a queue needs is there, tried out rather than looked up."""
