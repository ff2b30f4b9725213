"""The chat: texts and pictures, commands and their answers, and the delivery of each message."""
