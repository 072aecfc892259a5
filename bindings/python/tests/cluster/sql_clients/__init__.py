"""Programs of other SQL clients, and what is changed in them."""
