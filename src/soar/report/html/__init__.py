"""Pages and notebooks: what a run or a search found, as HTML that stands alone. One file per subject."""
