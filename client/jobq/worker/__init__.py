"""The worker: receives tickets, runs their jobs in processes of their own, and records how they ended."""
