"""One file per backend of a port; the only place where a backend's library is imported."""
