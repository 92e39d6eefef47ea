"""What any process of ours needs of the system: its streams, whole files."""
