"""The shell: the only code, with the media worker, that does I/O."""
