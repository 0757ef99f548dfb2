"""Mean opinion score from what RTCP tells, by the E-model (ITU-T G.107).

All inputs that packets say nothing about have the model's default values, with which R is 93.2.  The result
is an estimate for planning and alarms: nobody listened.
"""

from __future__ import annotations

import math

_R_DEFAULT = 93.2
_LOSS_ROBUSTNESS = 25.1
"""Bpl of G.711 with packet loss concealment (ITU-T G.113 Appendix I)."""
_PACKET_MS = 20.0


def estimate(*, loss: float, jitter_ms: float = 0.0, round_trip_ms: float | None = None) -> float:
    """MOS (1.0 to 4.5) of G.711: `loss` is a fraction of 0 to 1, `round_trip_ms` that of RTCP if known.

    One way takes half the round trip, a packet, and a jitter buffer of twice the jitter.
    """
    delay = max(0.0, round_trip_ms or 0.0) / 2 + _PACKET_MS + 2 * max(0.0, jitter_ms)
    return mos(_R_DEFAULT - delay_impairment(delay) - loss_impairment(loss))


def mos(r: float) -> float:
    """Transmission rating to MOS (G.107 Annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def delay_impairment(delay_ms: float) -> float:
    """Idd (G.107 7.4): none up to 100 ms one way."""
    if delay_ms <= 100:
        return 0.0
    x = math.log2(delay_ms / 100)
    return 25 * (math.pow(1 + x**6, 1 / 6) - 3 * math.pow(1 + (x / 3) ** 6, 1 / 6) + 2)


def loss_impairment(loss: float, *, codec: float = 0.0, robustness: float = _LOSS_ROBUSTNESS) -> float:
    """Ie,eff (G.107 7.5) for random loss; `codec` is Ie, 0 for G.711."""
    percent = 100 * min(1.0, max(0.0, loss))
    return codec + (95 - codec) * percent / (percent + robustness)
