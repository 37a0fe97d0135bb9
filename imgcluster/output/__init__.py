"""Labels to things to look at: folders, manifest, report."""
