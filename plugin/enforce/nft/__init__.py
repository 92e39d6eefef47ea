"""The table `inet calico_rkt` in the kernel: its messages, its layout, and how it is changed."""
