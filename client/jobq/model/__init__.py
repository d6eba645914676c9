"""What jobq talks about: plain values and pure functions, no input or output."""
