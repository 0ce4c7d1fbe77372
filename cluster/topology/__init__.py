"""The view one member has of its cluster: nodes, owners of slots, epochs; and its notation in files."""
