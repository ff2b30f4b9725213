"""What stands on the phone: texts and pictures, commands and their answers, and the way of each message there."""
