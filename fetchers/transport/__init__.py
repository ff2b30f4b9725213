"""HTTP to the venues: sessions, the rate budget, proxies, refusals."""
