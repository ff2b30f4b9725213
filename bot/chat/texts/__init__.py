"""Alerts, notices and answers as HTML."""
