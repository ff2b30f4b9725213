"""The venues' public streams on loopback (docs/streams.md): the market's prints, pushed as each venue would."""
