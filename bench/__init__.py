"""What jobq costs, figure by figure, as tables: `python -m bench`. See README.md here."""
