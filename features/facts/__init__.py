"""The market's facts as frozen records."""
