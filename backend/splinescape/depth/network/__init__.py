"""The built-in depth network. Nothing is imported here: where it is trained, `model` lies beside few libraries."""
