"""What the pages of Live show, read from the database into plain values. Nothing is changed."""
