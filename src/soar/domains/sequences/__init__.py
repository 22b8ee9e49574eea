"""Integer sequences: terms in, the program of the n-th term out."""
