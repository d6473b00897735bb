"""The resources and their states, in PostgreSQL. Nothing else writes them."""
