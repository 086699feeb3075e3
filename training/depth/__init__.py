"""The built-in depth network: generated worlds, the network, its training and its evaluation."""
