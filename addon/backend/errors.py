"""What may go wrong with the backend, in one sentence for the user."""

from __future__ import annotations


class BackendError(Exception):
    """Its text is one readable sentence that ends with the next step."""
