"""Calico's model of 2015: written, read as Felix of then reads it, and joined again."""
