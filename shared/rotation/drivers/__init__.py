"""Where new versions come from: one module for each kind of provider behind the port."""
