"""Redis' binary cluster bus: its wire format, and the links between members."""
