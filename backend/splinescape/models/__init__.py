"""Files of the diffusion and depth networks: which there are, fetching them, and where they lie on this disk."""
