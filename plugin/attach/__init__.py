"""A Request and a Store in; an endpoint attached, checked or detached out."""
