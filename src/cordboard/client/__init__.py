"""The Python SDK: programs that control calls over RELAY."""
