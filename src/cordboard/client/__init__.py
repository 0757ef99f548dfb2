"""The Python SDK: programs that control calls over RELAY, on Cordboard or any server that speaks it."""

from cordboard.client.call import Call
from cordboard.client.client import Client
from cordboard.client.devices import Device, PhoneParams, Plan, SipParams, phone, sip
from cordboard.client.errors import (
    AuthenticationError,
    CallEndedError,
    ClientError,
    ConnectError,
    ConnectionLostError,
    DialError,
    OperationError,
    RequestError,
)
from cordboard.client.operations import (
    Beginning,
    Collecting,
    Detecting,
    Operation,
    Playing,
    Prompting,
    Recording,
    Tapping,
)
from cordboard.client.playlist import Playlist, audio, ringtone, silence, tts

__all__ = [
    "AuthenticationError",
    "Beginning",
    "Call",
    "CallEndedError",
    "Client",
    "ClientError",
    "Collecting",
    "ConnectError",
    "ConnectionLostError",
    "Detecting",
    "Device",
    "DialError",
    "Operation",
    "OperationError",
    "PhoneParams",
    "Plan",
    "Playing",
    "Playlist",
    "Prompting",
    "Recording",
    "RequestError",
    "SipParams",
    "Tapping",
    "audio",
    "phone",
    "ringtone",
    "silence",
    "sip",
    "tts",
]
