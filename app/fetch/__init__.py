"""Pages from the web, through one client that checks every address."""
