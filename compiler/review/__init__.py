"""What a reviewer asks of a policy, answered from exact sets of packets."""
