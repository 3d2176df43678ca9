"""What the views work with, made once by the composition root."""

from __future__ import annotations

from typing import NamedTuple

from o2o.admission import Admission, Room
from o2o.catalogue import Catalogue
from o2o.translate.policy import Policy
from o2o.translate.token_arrays import Decode
from o2o.upstream.client import Upstream
from o2o.upstream.pictures import Pictures
from o2o.upstream.replies import Beat


class Limits(NamedTuple):
    """Bounds on one request: bytes and seconds."""

    body_bytes: int
    body_seconds: float
    deadline: float


class Services(NamedTuple):
    """Everything a view may use; one for each app."""

    upstream: Upstream
    catalogue: Catalogue
    policy: Policy
    admission: Admission
    room: Room
    limits: Limits
    beat: Beat
    pictures: Pictures | None
    """Fetches images by address; None where that is turned off."""
    decode: Decode | None
    """Reads token arrays; None where there is no vocabulary."""
    short_ways: bool
    """False: everything takes the plain way, which gives the same answers; for tests."""
    merged: set[str]
    """Models, by digest where it is known, whose template refused the order of roles once: their messages are
    merged at once."""
