"""The heart: what a call is and how it connects. Knows no SIP, no JSON, no SWML."""
