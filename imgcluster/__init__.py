"""Sort a folder of images by what they show."""
