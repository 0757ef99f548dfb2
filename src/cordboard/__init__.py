"""Cordboard: a self-hosted server that connects phone calls."""
