"""Language out: signed callbacks, and when to try them again.  Pure."""

from cordboard.webhooks.signature import verify_signature

__all__ = ["verify_signature"]
