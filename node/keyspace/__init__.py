"""What happens to keys besides commands: expiry, eviction, notifications, freeing."""
