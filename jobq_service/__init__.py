"""The HTTP control plane of jobq: one FastAPI app, served by Azure Functions or by `python -m jobq_service`."""
