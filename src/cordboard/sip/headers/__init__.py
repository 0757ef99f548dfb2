"""Typed values of SIP header fields, parsed when asked for."""
