"""Reports on runs: metrics, tables, figures and pages."""
