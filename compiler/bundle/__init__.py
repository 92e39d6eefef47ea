"""What a datastore holds of ours as one file of Calico resources, and back."""
