"""nftables rules: written, and read back by nft's own meaning."""
