"""Files that zomtrace writes: opened so that no other user can redirect them."""
