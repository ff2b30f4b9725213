"""A made-up fifth venue, Okto: what test_fifth_venue.py adds to a copy of the code."""
