"""How requests leave: sessions, the rate budget, proxies, refusals."""
