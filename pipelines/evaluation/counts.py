"""How far chance alone may move a count of events that people make, each as many as they like.

The interval of Fay and Feuer (1997, "Confidence intervals for directly standardized rates", Statistics in Medicine 16), with
each person as one observation whose weight is their number of events: persons come by chance and independently of each
other, their events do not. With one event a person it is the exact interval of a Poisson count (Garwood 1936).
"""

from __future__ import annotations

CONFIDENCE = 0.95


def interval(events: float, squares: float, most: float) -> tuple[float, float]:
    """From what to what the expected count may lie, at CONFIDENCE.

    `squares` is the sum over persons of the square of each one's events, `most` the events of the one with most; all above 0.
    """
    from scipy.special import gammaincinv

    tail = (1 - CONFIDENCE) / 2
    scale = squares / events
    low = scale * gammaincinv(events / scale, tail)
    upper_events = events + most
    upper_scale = (squares + most**2) / upper_events
    return float(low), float(upper_scale * gammaincinv(upper_events / upper_scale, 1 - tail))
