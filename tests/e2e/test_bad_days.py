"""A colleague is writing this file right now (restarts/kill matrix, bad days, several workers, privileges, OpenAPI, download): leave it to them."""
