"""Four venues on loopback: an invented market in the public wire formats of the real ones."""
