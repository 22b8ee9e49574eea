"""Pages and notebooks: what a run or a search found, as self-contained HTML. One file per subject."""
