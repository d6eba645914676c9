"""What a job writes, copied while it runs and at its end: its outputs to their place, its checkpoint to come back."""
