"""The read-only web app in the same loop."""
