"""How the networks that the product ships are made. Not part of the installed package."""
