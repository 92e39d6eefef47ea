"""A network conf's bytes in, a NetConf out. The door is parse."""
