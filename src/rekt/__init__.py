"""Records the liquidations of futures markets, adds them up by the hour, posts and shows them."""

__version__ = "0.1.0"
