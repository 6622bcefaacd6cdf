"""Object storage, of whichever cloud: its addresses, its credentials, and its errors in words for people."""
