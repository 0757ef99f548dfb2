"""JSON-RPC 2.0 frames (https://www.jsonrpc.org/specification), one object a message."""
