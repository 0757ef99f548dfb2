"""Audio codecs: bytes to samples and back."""
