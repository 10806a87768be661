"""X: the account, what its answers mean, and the session that tweepy is given."""

from __future__ import annotations

from types import MappingProxyType

from rekt.publisher import Service
from rekt.publishers.x.account import KEYS, X

SERVICE = Service(section="TWITTER", keys=MappingProxyType({}), required=KEYS, open=X)

__all__ = ["SERVICE", "X"]
