"""The tab in which visitors teach a model their own pictures, and then try to break it."""
