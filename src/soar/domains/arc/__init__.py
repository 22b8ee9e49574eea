"""ARC: everything that knows a grid."""
