"""What stands in a workspace: confs and the files of `profiles/`, in a folder or in a revision of it."""
