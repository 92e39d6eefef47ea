"""The plugin: everything that has an effect on the kernel, a disk or another process."""
