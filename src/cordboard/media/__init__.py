"""Packets and samples; knows no SIP and no calls."""
