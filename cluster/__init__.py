"""What makes workers a cluster: members that agree, and what an operator does with them."""
