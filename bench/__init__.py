"""Side-by-side measurements of o2o and of what one would use in its place. Linux only; see README.md."""
