"""What each command does: a file per group, each handler a function from arguments to a reply value."""
